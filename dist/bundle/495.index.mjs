const c=495,d=[495],n={6495:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(4866)})};export{c as id,d as ids,n as modules};
