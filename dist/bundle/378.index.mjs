const c=378,d=[378],n={5378:((t,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(9757)})};export{c as id,d as ids,n as modules};
