const c=9209,d=[9209],E={9209:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(3495),t=_(2199)})};export{c as id,d as ids,E as modules};
