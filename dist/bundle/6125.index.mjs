const c=6125,d=[6125],E={6125:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(3433),t=_(2199)})};export{c as id,d as ids,E as modules};
