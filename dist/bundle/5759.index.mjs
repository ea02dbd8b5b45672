const E=5759,c=[5759],d={5759:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(9451),t=_(2199)})};export{E as id,c as ids,d as modules};
