const c=2601,d=[2601],E={2601:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(2563),t=_(2199)})};export{c as id,d as ids,E as modules};
