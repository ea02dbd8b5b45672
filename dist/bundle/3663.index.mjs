const c=3663,d=[3663],E={3663:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(7405),t=_(2199)})};export{c as id,d as ids,E as modules};
