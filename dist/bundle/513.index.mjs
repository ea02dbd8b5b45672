const c=513,d=[513],E={513:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(9547),t=_(2199)})};export{c as id,d as ids,E as modules};
