const c=925,d=[925],n={925:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(9813)})};export{c as id,d as ids,n as modules};
