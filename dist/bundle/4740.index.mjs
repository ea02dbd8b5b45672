const c=4740,d=[4740],E={4740:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(5035),t=_(2199)})};export{c as id,d as ids,E as modules};
