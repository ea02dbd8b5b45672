const c=5490,d=[5490],E={5490:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(3498),t=_(2199)})};export{c as id,d as ids,E as modules};
