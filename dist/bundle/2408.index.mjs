const c=2408,d=[2408],E={2408:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(4594),t=_(2199)})};export{c as id,d as ids,E as modules};
