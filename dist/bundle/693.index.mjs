const c=693,d=[693],E={7693:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(1718),t=_(2199)})};export{c as id,d as ids,E as modules};
