const c=4327,d=[4327],E={4327:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(5492),t=_(2199)})};export{c as id,d as ids,E as modules};
