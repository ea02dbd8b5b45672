const c=6746,d=[6746],E={6746:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(7476),t=_(2199)})};export{c as id,d as ids,E as modules};
