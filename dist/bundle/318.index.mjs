const c=318,d=[318],n={2318:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(240)})};export{c as id,d as ids,n as modules};
