const c=9827,d=[9827],E={9827:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(7984),t=_(2199)})};export{c as id,d as ids,E as modules};
