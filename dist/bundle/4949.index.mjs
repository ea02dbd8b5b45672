const E=4949,c=[4949],d={4949:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(5441),t=_(2199)})};export{E as id,c as ids,d as modules};
