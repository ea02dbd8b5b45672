const c=761,d=[761],E={761:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(9917),t=_(2199)})};export{c as id,d as ids,E as modules};
