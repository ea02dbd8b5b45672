const E=6243,c=[6243],d={6243:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(5231),t=_(2199)})};export{E as id,c as ids,d as modules};
