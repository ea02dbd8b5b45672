const c=1986,d=[1986],E={1986:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(354),t=_(2199)})};export{c as id,d as ids,E as modules};
