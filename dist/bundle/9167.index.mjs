const E=9167,c=[9167],d={9167:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(8134),t=_(2199)})};export{E as id,c as ids,d as modules};
