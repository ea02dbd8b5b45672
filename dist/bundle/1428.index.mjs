const c=1428,d=[1428],E={1428:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(2199),t=_(4580)})};export{c as id,d as ids,E as modules};
