const E=426,c=[426],d={426:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(3559),t=_(2199)})};export{E as id,c as ids,d as modules};
