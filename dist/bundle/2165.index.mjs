const c=2165,d=[2165],E={2165:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(1264),t=_(2199)})};export{c as id,d as ids,E as modules};
