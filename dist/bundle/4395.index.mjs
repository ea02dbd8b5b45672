const c=4395,d=[4395],E={4395:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(2875),t=_(2199)})};export{c as id,d as ids,E as modules};
