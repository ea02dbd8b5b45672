const c=7003,d=[7003],E={7003:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(2837),t=_(2199)})};export{c as id,d as ids,E as modules};
