const c=727,d=[727],n={9727:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(1014)})};export{c as id,d as ids,n as modules};
