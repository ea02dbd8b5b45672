const c=4511,d=[4511],E={4511:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(2941),t=_(2199)})};export{c as id,d as ids,E as modules};
