const E=2433,c=[2433],d={2433:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(3033),t=_(2199)})};export{E as id,c as ids,d as modules};
