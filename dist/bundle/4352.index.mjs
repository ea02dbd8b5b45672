const c=4352,d=[4352],E={4352:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(6538),t=_(2199)})};export{c as id,d as ids,E as modules};
