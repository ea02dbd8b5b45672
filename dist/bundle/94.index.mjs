const c=94,d=[94],n={6094:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(7387)})};export{c as id,d as ids,n as modules};
