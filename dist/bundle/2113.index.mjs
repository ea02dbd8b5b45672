const c=2113,d=[2113],E={2113:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(4823),t=_(2199)})};export{c as id,d as ids,E as modules};
