const c=874,d=[874],n={8874:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(5172)})};export{c as id,d as ids,n as modules};
