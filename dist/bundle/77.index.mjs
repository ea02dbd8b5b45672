const c=77,d=[77],n={5077:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(2476)})};export{c as id,d as ids,n as modules};
