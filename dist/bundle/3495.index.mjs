const E=3495,c=[3495],d={3495:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(9652),t=_(2199)})};export{E as id,c as ids,d as modules};
