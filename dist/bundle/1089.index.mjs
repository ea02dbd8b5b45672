const c=1089,d=[1089],E={1089:((n,o,_)=>{_.d(o,{actions:()=>s.a});var s=_(816),t=_(2199)})};export{c as id,d as ids,E as modules};
