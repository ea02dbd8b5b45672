const E=7550,c=[7550],d={7550:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(5417),t=_(2199)})};export{E as id,c as ids,d as modules};
