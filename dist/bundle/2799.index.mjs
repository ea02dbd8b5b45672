const c=2799,d=[2799],E={2799:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(4903),t=_(2199)})};export{c as id,d as ids,E as modules};
