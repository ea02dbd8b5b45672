const mn=414,fn=[414],hn={1336:((Ne,fe,N)=>{N.d(fe,{a:()=>ie,b:()=>E,c:()=>ae,d:()=>pe,e:()=>W,f:()=>v,g:()=>ge,h:()=>L,i:()=>K,j:()=>O,k:()=>M,l:()=>te,m:()=>D,n:()=>Q});var V=N(5262),se=N(8975),ie=["critical","high","medium","low","unknown"];function E(){return{critical:0,high:0,medium:0,low:0,unknown:0}}function I(p){let c=E();for(let{severity:f}of p)c[f]+=1;return c}function ae(p){let c=ie.filter(f=>p[f]>0);return c.length===0?"none":c.map(f=>`${p[f]} ${f}`).join(", ")}function pe({kind:p,name:c,version:f}){return f===null?`${p} ${c}`:`${p} ${c}${f.startsWith("sha256:")?"@":":"}${f}`}function W(p){let c=p.replaceAll("\\","/");if(/^(?:\/|[a-z]:)/i.test(c)||c.includes("\0"))return null;let f=[];for(let b of c.split("/"))if(b===".."){if(f.pop()===void 0)return null}else b!==""&&b!=="."&&f.push(b);return f.length===0?null:f.join("/")}function v({startLine:p,endLine:c}){let f=G(1,p);return{start:f,end:G(f,c)}}function G(p,c){return c!==null&&Number.isSafeInteger(c)?Math.max(p,c):p}function ge(p){return p!==null&&/^https?:\/\/[!#-;=?-Z_a-z~]+$/.test(p)&&URL.canParse(p)}var ue=new Map(ie.map((p,c)=>[p,c]));function L(p){return p.toSorted((c,f)=>ue.get(c.severity)-ue.get(f.severity)||+(c.known===!0)-+(f.known===!0)||A(c.target.name,f.target.name)||A(c.location?.file??"",f.location?.file??"")||(c.location?.startLine??0)-(f.location?.startLine??0)||A(c.rule.id,f.rule.id)||A(c.fingerprint,f.fingerprint)||A(c.message,f.message))}function K(p,c){let f=p.slice(c);return{count:f.length,bySeverity:I(f)}}function O({count:p,bySeverity:c},f){if(p===0)return"";let b=R=>R.toLocaleString("en-US"),S=p===1?"is":"are";return`${b(p)} of ${b(f)} findings ${S} not shown here, the least severe: ${ae(c)}.`}function A(p,c){return p<c?-1:p>c?1:0}function M(p,c){return p.length<=c?p:`${p.slice(0,c-1).replace(/[\ud800-\udbff]$/,"")}\u2026`}function H(p,c){if(p.length*3<=c)return p;let f=Buffer.from(p);if(f.length<=c)return p;let b=c-Buffer.byteLength("\u2026");for(;b>0&&(f[b]&192)===128;)b-=1;return`${f.toString("utf8",0,b)}\u2026`}var F={batch:50,total:500,title:255,messageBytes:64*1024,commandsPerLevel:10},re={critical:"failure",high:"failure",medium:"warning",low:"notice",unknown:"notice"};function te(p,c=F.total){let{placed:f,elsewhere:b}=C(p),S=f.slice(0,c).map(P),R=[];for(let q=0;q<S.length;q+=F.batch)R.push(S.slice(q,q+F.batch));return{items:R,elsewhere:b,...z(f,S.length)}}function D(p){let{placed:c,elsewhere:f}=C(p),b={failure:0,warning:0,notice:0},S=[],R=[];for(let q of c){let de=re[q.finding.severity];b[de]+=1,(b[de]<=F.commandsPerLevel?S:R).push(q)}return{items:S.map(q=>{let{path:de,start_line:ke,end_line:ce,annotation_level:be,title:$e,message:ye}=P(q);return{level:be==="failure"?"error":be,message:ye,properties:{file:de,startLine:ke,endLine:ce,title:$e}}}),elsewhere:f,...z([...S,...R],S.length)}}function C(p){let c=L(p).flatMap(f=>{let b=f.location===null?null:W(f.location.file);return b===null?[]:[{finding:f,path:b,lines:v(f.location)}]});return{placed:c,elsewhere:p.length-c.length}}function P({finding:p,path:c,lines:f}){let{rule:b,severity:S}=p,R=H((0,V.a)([b.help,b.link??""].join(`
`).trim()),F.messageBytes);return{path:(0,V.a)(c),start_line:f.start,end_line:f.end,annotation_level:re[S],title:M((0,V.a)(`${S} ${b.id}: ${b.title}`).replaceAll(`
`," "),F.title),message:H((0,V.a)(p.message.trim()||b.title.trim()||b.id),F.messageBytes),...R===""?{}:{raw_details:R}}}function z(p,c){let f=K(p.map(({finding:b})=>b),c);return{cut:f,notice:O(f,p.length)}}function Q(p){let c=new Map;for(let[b,S]of p.entries()){let R=le(S),q=c.get(R);q===void 0?c.set(R,[{draft:S,index:b}]):q.push({draft:S,index:b})}let f=[];for(let[b,S]of c){S.sort((R,q)=>X(R.draft,q.draft));for(let[R,{draft:q,index:de}]of S.entries())f[de]={...q,fingerprint:`${b}:${R+1}`,known:null}}return f}function le({rule:p,target:c,subject:f,location:b,context:S}){let R=[p.id,c.kind,c.name,f?.name??null,f?.path??null,b?.file??null,S===null?null:me(S)];return(0,se.b)(R).slice(7,39)}function me(p){return p.normalize("NFC").replace(/\s+/g," ").trim()}function X(p,c){return(p.location?.startLine??0)-(c.location?.startLine??0)||A(p.subject?.version??"",c.subject?.version??"")||A(p.message,c.message)}}),2742:((Ne,fe,N)=>{N.d(fe,{a:()=>ue});var V=N(1245),se=N(8975),ie=N(6506),E=N(3024),I=4e3,ae=3e4,pe={each:2e3,all:6500};function W(L,K){let O=()=>performance.now(),A=new AbortController,M=L.aborted?O():void 0;L.addEventListener("abort",()=>M=O(),{once:!0});let H,F="";async function re(D){H??=O();try{let C=await D;return H=void 0,C}catch(C){let P=C instanceof ie.a?C.reasonCode:void 0;throw P==="unreachable"?F=(0,ie.c)(C):P!=="cancelled"&&(H=void 0),C}}function te(D){let C=[D+ae];return H!==void 0&&C.push(Math.max(H,D)+I),M!==void 0&&C.push(Math.max(M,D)+pe.each,M+pe.all),Math.min(...C)-O()}return{signal:A.signal,watch:D=>({...D,call:(C,P,z)=>re(D.call(C,P,z)),graphql:(C,P,z)=>re(D.graphql(C,P,z))}),trouble(D){F=D},async settle(D,C){let P=!1,z=C.finally(()=>P=!0);if(A.signal.aborted)return K.warning(`${D}: not written to GitHub, which did not answer before. This does not change the result.`),z;let Q=O();for(;!P;){let le=te(Q);if(le<=0){let c=F===""?"":` (${F})`;K.warning(`${D}: GitHub was not done with it after ${Math.round((O()-Q)/100)/10} s${c}. This does not change the result.`),A.abort();break}let{promise:me,resolve:X}=Promise.withResolvers(),p=setTimeout(X,Math.min(le,250));await Promise.race([z,me]),clearTimeout(p)}return z}}}function v(L){let K=G(L.eventPath),O=(0,se.c)(K)?K.pull_request:void 0,A=(0,se.c)(O)?O.number:void 0,M=(0,se.c)(O)&&(0,se.c)(O.head)?O.head.sha:void 0;return{pullRequest:typeof A=="number"?A:void 0,headSha:typeof M=="string"&&M!==""?M:L.sha,readOnly:(0,V.a)({name:L.eventName,payload:K,actor:L.actor,repository:L.repository})}}function G(L){if(L!=="")try{return JSON.parse((0,E.readFileSync)(L,"utf8"))}catch{return}}var ge=1e4;function ue(L,K,O={}){let{facts:A,log:M,summary:H,redact:F}=L,re=v(A),te=W(L.signal,M),D=K===void 0||K===""||!/^[^/]+\/[^/]+$/.test(A.repository)?void 0:{token:K,apiUrl:A.apiUrl,graphqlUrl:A.graphqlUrl,repository:A.repository},C={github:D===void 0?void 0:te.watch((0,V.c)({...D,...O,log:{...M,progress(P){te.trouble(P.detail??""),M.debug(`${P.what}: ${P.detail??""}`)}},signal:te.signal,patience:V.b,timeout:ge})),log:M,readOnly:re.readOnly,redact:F};return{...re,runKey:`${A.runId}.${A.runAttempt}`,logUrl:A.runUrl===""?"":`${A.runUrl}/attempts/${A.runAttempt}`,reports:(0,V.e)({...C,instead:{summary:P=>H.paragraph(P),annotate(P){for(let{path:z,start_line:Q,end_line:le,annotation_level:me,title:X="",message:p}of P){let c=me==="notice"?"notice":"warning";L.annotate(c,p,{file:z,startLine:Q,endLine:le,title:X})}}}}),quiet:(0,V.e)({...C,instead:{summary:()=>{},annotate:()=>{}}}),github:D===void 0?void 0:(0,V.c)({...D,log:M,signal:L.signal}),settle:te.settle}}}),6414:((Ne,fe,N)=>{N.r(fe),N.d(fe,{run:()=>dn});var V=N(2742),se=N(1245),ie=N(6736),E=N(1336),I=N(5262),ae=N(8975),pe=N(7446),W=N(420),v=N(6506),G=N(1455),ge=N(8522),ue=N(1421),L=N(7598),K=N(3024),O=N(6760),A=N(481),M={ok:"The action did what was asked.",already_current:"What was asked for was already so; nothing was written.",dry_run:"Only the plan was made, because `dry-run` is true.",invalid_input:"One or more inputs are missing or not allowed; nothing was touched.",invalid_config:"deploy.yml cannot be read or says something that is not allowed; nothing was touched.",unsupported:"The platform or router does not have a capability that was asked for.",not_found:"A file, program, release or service that was named does not exist.",version_not_found:"The release to go back to does not exist or is no longer kept.",permission_denied:"A right that is needed is missing.",unreachable:"A host, socket or API could not be reached.",lock_held:"Another run holds the lease of this environment.",lock_lost:"The lease was taken over by another run; this run wrote nothing after that.",environment_frozen:"The environment is frozen; nothing was written.",state_conflict:"What is there changed while it was being read, and the intent no longer held.",state_too_new:"The state was written by a newer version of the suite.",state_corrupt:"The stored state cannot be read.",start_failed:"The new version could not be started or ended by itself.",not_ready:"The new version did not become ready in time.",unhealthy:"A health check did not pass in time.",router_rejected:"The router refused the new configuration.",router_unverified:"The router was written to, but the data plane did not follow in time.",drain_timeout:"Requests were still in flight when the time to drain was over.",limit_exceeded:"A metric was beyond its limit.",insufficient_data:"There were too few requests, or no usable data, to reach a verdict.",metrics_unavailable:"The metric source failed or answered nonsense.",migration_failed:"A migration failed; the report says what was applied.",migration_locked:"Another migration is running, or a table lock could not be had in time.",unsafe_migration:"A migration would break the version that serves, lose data or block a table.",plan_changed:"The plan is not the one that was approved.",backup_failed:"The backup could not be made or verified; nothing was migrated.",verify_failed:"The state after the change is not what the plan said.",resumed:"An unfinished release of an earlier run was found and finished.",reverted:"The release was taken back; the previous version serves.",revert_failed:"The release could not be taken back completely; the report says what is left.",unfinished_release:"An unfinished release of another version has to be settled first.",cancelled:"The run was cancelled.",timeout:"The time allowed was over.",command_failed:"A command ended with an error.",internal:"An error of the suite itself; please report it."},H=65536;function F(e){if(!/^[a-z0-9]+(?:-[a-z0-9]+)*$/i.test(e))throw new v.a("invalid_input",`The purpose of a comment may not be ${JSON.stringify(e)}.`,{remedy:"Use letters and digits, with single dashes between them."});return`<!-- deploy-actions:${e} -->`}function re(e,n){let{open:t=20}=n,a=(0,E.h)(e),r=[F(n.purpose),`### ${Q(n.title,200)}`,"",Q(n.message,1e3),""].join(`
`),i=[];for(let d=H;d>0&&i.length<a.length;){let m=D(a[i.length]);i.push(m),d-=m.length}let s=d=>{let m=(0,E.j)((0,E.i)(a,d),a.length),g=i.slice(0,d),k=g.slice(t);return[r,...g.length===0?[]:[te,...g.slice(0,t),""],...k.length===0?[]:[`<details><summary>${k.length} more</summary>`,"",te,...k,"","</details>",""],...m===""?[]:[`_${m}_`,""]].join(`
`)},o=i.length;if(s(o).length>H){let d=o;for(o=0;d-o>1;){let m=Math.floor((o+d)/2);s(m).length<=H?o=m:d=m}}let l=(0,E.i)(a,o);return{body:s(o),cut:l,notice:(0,E.j)(l,a.length)}}var te=`| Severity | Finding | Where |
| --- | --- | --- |`;function D(e){let{rule:n,severity:t,known:a}=e,r=C(e);return`| ${[a===!1?`${t}, new`:t,`${P(n)}: ${Q(e.message.trim()||n.title,300)}${r===""?"":`<br>${r}`}`,Q(z(e),250)].join(" | ")} |`}function C({subject:e}){if(e===null)return"";let{name:n,version:t,fixedVersion:a}=e,r=a===null?"":`, fixed in ${Q(a,100)}`;return`${Q(`${n} ${t??""}`,150)}${r}`}function P({id:e,link:n}){let t=Q(e,100);return!(0,E.g)(n)||n.length>300?t:`[${t.replaceAll("\\[","&#91;").replaceAll("\\]","&#93;")}](<${n}>)`}function z({target:e,subject:n,location:t}){if(t!==null){let i=t.startLine===null?"":`:${t.startLine}`;return`${(0,E.e)(t.file)??t.file}${i}`}let a=n?.path??null,r=(0,E.d)(e).replace(/(@sha256:[0-9a-f]{12})[0-9a-f]{52}$/,"$1\u2026");return a===null?r:`${r}, ${a}`}function Q(e,n){return(0,I.d)((0,I.c)((0,E.k)(e.trim(),n)))}function le(e,n,t={}){let a=(0,E.b)(),r=(0,E.b)();for(let s of e){let o=t.onlyNew===!0&&s.known===!0;(o?r:a)[s.severity]+=1}let i=E.a.flatMap(s=>{let o=n[s];return o!==void 0&&a[s]>o?[{severity:s,count:a[s],limit:o}]:[]});return{passed:i.length===0,counts:a,known:r,exceeded:i,message:me(a,r,n,t.onlyNew===!0)}}function me(e,n,t,a){let r=E.a.filter(g=>t[g]!==void 0),i=r.filter(g=>e[g]>t[g]),s=`${a?"new findings":"findings"}: ${(0,E.c)(e)}`,o=g=>`${e[g]} ${g} where ${t[g]} ${t[g]===1?"is":"are"} allowed`,l=r.length===0?"no limit is set":`allowed: ${r.map(g=>`${t[g]} ${g}`).join(", ")}`,d=i.length>0?`Too many ${a?"new ":""}findings: ${i.map(o).join(", ")}. All ${s}.`:`Within the limits; ${s} (${l}).`,m=(0,E.c)(n);return m==="none"?d:`${d} Known before and not counted: ${m}.`}var X={results:5e3,gzipBytes:1e7,tags:10,description:1024,message:4096,help:16384};function p(e,{kind:n,name:t}){return`${e}/${n}/${t}`}function c(e,n={}){let{results:t,gzipBytes:a}={...X,...n},r=(0,E.h)(e.findings),i=Math.min(r.length,t);for(;;){let s=(0,E.i)(r,i),o=(0,E.j)(s,r.length),l=JSON.stringify(f(e,r.slice(0,i),o)),d=(0,ge.gzipSync)(l);if(d.length<=a||i===0)return{category:e.category,text:l,gzip:d,cut:s,notice:o};i=Math.min(i-1,Math.floor(i*a/d.length*.97))}}function f({tool:e,category:n},t,a){let r=new Map,i=t.map(s=>{let o=r.get(s.rule.id);return o===void 0&&(o={descriptor:de(s),index:r.size},r.set(s.rule.id,o)),ke(s,o.index)});return{$schema:"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",version:"2.1.0",runs:[{tool:{driver:{name:ce(e.name,255,"deploy-actions"),...e.version===null?{}:{version:ce(e.version,255,"0")},...(0,E.g)(e.link)?{informationUri:e.link}:{},rules:Array.from(r.values(),({descriptor:s})=>s)}},automationDetails:{id:`${(0,I.a)(n)}/`},invocations:[{executionSuccessful:!0,...a===""?{}:{toolExecutionNotifications:[{descriptor:{id:"findings-cut"},level:"warning",message:{text:a}}]}}],originalUriBaseIds:{[b]:{description:{text:"The root of the repository."}}},columnKind:"utf16CodeUnits",results:i}]}}var b="%SRCROOT%",S={critical:"error",high:"error",medium:"warning",low:"note",unknown:"note"},R={critical:"9.5",high:"8.0",medium:"5.5",low:"2.0",unknown:"0.0"},q={error:"error",warning:"warning",note:"recommendation"};function de({rule:e,severity:n}){let t=ce(e.title,X.description,e.id),a=ce(e.help,X.help,t),r=(0,E.g)(e.link)?e.link:null,i=[...new Set(e.tags.map(I.a))].slice(0,X.tags);return{id:(0,I.a)(e.id),shortDescription:{text:t},fullDescription:{text:(0,E.k)(a,X.description)},...r===null?{}:{helpUri:r},help:{text:r===null?a:`${a}
${r}`,markdown:r===null?(0,I.b)(a):`${(0,I.b)(a)}

<${r}>`},defaultConfiguration:{level:S[n]},properties:{tags:i,precision:"very-high",...e.tags.includes("security")?{"security-severity":R[n]}:{"problem.severity":q[S[n]]}}}}function ke(e,n){let{rule:t,severity:a,target:r,location:i,fingerprint:s,known:o}=e,l=i===null?null:(0,E.e)(i.file),{start:d,end:m}=i===null||l===null?{start:1,end:1}:(0,E.f)(i);return{ruleId:(0,I.a)(t.id),ruleIndex:n,level:S[a],message:{text:be(ce(e.message,X.message,ce(t.title,1024,t.id)))},locations:[{physicalLocation:{artifactLocation:{uri:$e(l??r.name),uriBaseId:b},region:{startLine:d,endLine:m}}}],partialFingerprints:{primaryLocationLineHash:s},...o===null?{}:{baselineState:o?"unchanged":"new"}}}function ce(e,n,t){let a=(0,E.k)((0,I.a)(e).trim(),n);return a===""?(0,I.a)(t):a}function be(e){return e.replaceAll("](","] (")}function $e(e){let n=e.toWellFormed().split("/").filter(t=>!["",".",".."].includes(t));return n.length===0?"unnamed":n.map(encodeURIComponent).join("/")}var ye=class extends v.a{states;constructor(e,n,t){super(e,n,t),this.name="MigrationError",this.states=t.states}},Se={"drop-table":{severity:"error",title:"A table is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/sql-droptable.html"},"drop-column":{severity:"error",title:"A column is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"drop-database":{severity:"error",title:"A database or schema is dropped",remedy:"Do not drop a database or schema in a migration.",link:"https://www.postgresql.org/docs/current/sql-dropschema.html"},rename:{severity:"error",title:"A name that old code uses is changed",remedy:"Add the new name, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"add-not-null":{severity:"error",title:"A column is added that old code does not fill",remedy:"Add it nullable, or with a default of the database (db_default), which Django keeps.",link:"https://docs.djangoproject.com/en/stable/ref/models/fields/#db-default"},"set-not-null":{severity:"error",title:"A column becomes NOT NULL under a lock",remedy:"Add CHECK (\u2026 IS NOT NULL) NOT VALID, VALIDATE it in another migration, then set NOT NULL.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"change-type":{severity:"error",title:"The type of a column is changed",remedy:"Add a new column, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"index-blocks":{severity:"error",title:"Building or dropping an index blocks writes",remedy:"Use AddIndexConcurrently or RemoveIndexConcurrently in a migration with atomic = False.",link:"https://docs.djangoproject.com/en/stable/ref/contrib/postgres/operations/#concurrent-index-operations"},"constraint-blocks":{severity:"error",title:"Adding a constraint blocks writes",remedy:"Build a unique index concurrently and add the constraint USING INDEX; add others NOT VALID and VALIDATE later.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"concurrently-in-transaction":{severity:"error",title:"CONCURRENTLY stands in a transaction",remedy:"Set atomic = False in the migration.",link:"https://docs.djangoproject.com/en/stable/howto/writing-migrations/#non-atomic-migrations"},truncate:{severity:"error",title:"A table is emptied",remedy:"Empty a table outside of a release, after a backup.",link:"https://www.postgresql.org/docs/current/sql-truncate.html"},cascade:{severity:"error",title:"CASCADE drops what depends on it",remedy:"Drop what depends on it by name, so that nothing else goes with it.",link:"https://www.postgresql.org/docs/current/ddl-depend.html"},"irreversible-code":{severity:"warning",title:"Code has no way back",remedy:"Give RunPython a reverse_code; RunPython.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runpython"},"irreversible-sql":{severity:"warning",title:"SQL has no way back",remedy:"Give RunSQL a reverse_sql; RunSQL.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runsql"},irreversible:{severity:"warning",title:"An operation has no way back",remedy:"Make the operation reversible, or be sure to have a backup.",link:"https://docs.djangoproject.com/en/stable/topics/migrations/#reversing-migrations"},"unknown-sql":{severity:"warning",title:"SQL that is not known is not checked",remedy:"Apply what comes before it first, and plan again to see its SQL.",link:"https://docs.djangoproject.com/en/stable/ref/django-admin/#sqlmigrate"},"invalid-index":{severity:"warning",title:"An index is left invalid",remedy:"Drop it with DROP INDEX CONCURRENTLY and build it again.",link:"https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"}},Qe=/\s+/y,Ye=/--[^\n]*/y,Ve=/[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y,Je=/(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y,Xe=/(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y,Ze=/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y,et=/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;function Le(e){let n=[],t=[],a=0,r=0,i=o=>{o.lastIndex=r;let l=o.exec(e)?.[0];return l!==void 0&&(r+=l.length),l},s=(o,l)=>t.push({kind:o,text:l,depth:a});for(;r<e.length;){if(i(Qe)!==void 0||i(Ye)!==void 0)continue;if(e.startsWith("/*",r)){r=tt(e,r);continue}let o=i(Ve)??i(Je);if(o!==void 0){s("string",o);continue}let l=i(Xe);if(l!==void 0){s("name",l.slice(l.indexOf('"')+1,-1).replaceAll('""','"'));continue}let d=i(Ze);if(d!==void 0){let k=e.indexOf(d,r),$=k<0?e.length:k+d.length;s("string",e.slice(r-d.length,$)),r=$;continue}let m=i(et);if(m!==void 0){s("word",m.toLowerCase());continue}let g=String.fromCodePoint(e.codePointAt(r)??0);if(r+=g.length,g===";"&&a===0&&!nt(t)){n.push(t),t=[];continue}g===")"&&(a=Math.max(0,a-1)),s("symbol",g),g==="("&&(a+=1)}return n.push(t),n.filter(o=>o.length>0)}function tt(e,n){let t=/\/\*|\*\//g;t.lastIndex=n;let a=0;for(let r=t.exec(e);r!==null;r=t.exec(e))if(a+=r[0]==="/*"?1:-1,a===0)return t.lastIndex;return e.length}function nt(e){if(e[0]?.text!=="create")return!1;let n=e.filter(a=>a.kind==="word").map(a=>a.text),t=n.findIndex((a,r)=>a==="begin"&&n[r+1]==="atomic");return t<0?!1:n.slice(t).filter(a=>a==="begin"||a==="case").length>n.slice(t).filter(a=>a==="end").length}var ve=class{tokens;position=0;constructor(e){this.tokens=e}accept(...e){let n=e.every((t,a)=>{let r=this.tokens[this.position+a];return r?.kind==="word"&&r.text===t});return n&&(this.position+=e.length),n}acceptSymbol(e){let n=this.tokens[this.position];return n?.kind!=="symbol"||n.text!==e?!1:(this.position+=1,!0)}name(){let e=[this.identifier()];for(;this.acceptSymbol(".");)e.push(this.identifier());return(e[0]==="public"&&e.length>1?e.slice(1):e).join(".")}identifier(){let e=this.tokens[this.position];return e===void 0||e.kind!=="word"&&e.kind!=="name"?"":(this.position+=1,e.text)}peek(){return this.tokens[this.position]?.text??""}rest(){return this.tokens.slice(this.position)}};function Z(e,...n){let t=e[0]?.depth??0,a=e.filter(r=>r.depth===t);return a.some((r,i)=>n.every((s,o)=>{let l=a[i+o];return l?.kind==="word"&&l.text===s}))}function Oe(e){let n=e[0]?.depth??0,t=[[]];for(let a of e)a.kind==="symbol"&&a.text===","&&a.depth===n?t.push([]):t.at(-1)?.push(a);return t}function Ce(e){let n=new Set,t=e.migrations.flatMap(r=>at(r,n)),a=e.invalidIndexes.map(r=>je("invalid-index","",null,null,`The index ${r} is invalid: an earlier concurrent build failed.`));return[...t,...a]}function je(e,n,t,a,r){let{severity:i,remedy:s}=Se[e];return{rule:e,severity:i,migration:n,message:r,remedy:s,location:{file:t,line:a}}}function at(e,n){let t=[],a=i=>(s,o)=>t.push(je(s,`${e.app}.${e.name}`,e.file,i,o)),r=new Map;for(let i of e.operations){let s=a(i.line);if(!i.reversible){let o=i.kind==="RunPython"?"irreversible-code":i.kind==="RunSQL"?"irreversible-sql":"irreversible";s(o,`${i.kind} cannot be taken back: ${i.description}.`)}for(let o of Le(i.sql))De(o,{migration:e,operation:i,made:n,added:r,report:s})}for(let i of Le(e.deferredSql))De(i,{migration:e,operation:null,made:n,added:r,report:a(null)});for(let{column:i,table:s,hasDefault:o,report:l}of r.values())o||l("add-not-null",`Column ${i} of ${s} is added NOT NULL and keeps no default: INSERTs of old code fail.`);return e.sql===null&&a(null)("unknown-sql",`Its SQL is not known and not checked: ${e.sqlProblem??""}`),t}function De(e,n){let{migration:t,made:a,report:r}=n,i=new ve(e);t.atomic&&Pe(e)&&r("concurrently-in-transaction","CONCURRENTLY fails inside the transaction of the migration."),i.accept("create")?rt(i,a,r):i.accept("alter","table")?st(i,n):i.accept("alter")?ot(i,r):i.accept("drop")?it(i,a,r):i.accept("truncate")?(i.accept("table"),i.accept("only"),r("truncate",`TRUNCATE empties ${i.name()}.`)):i.accept("reindex")&&!Pe(e)&&r("index-blocks","REINDEX without CONCURRENTLY blocks reads and writes.")}function Pe(e){let n=e.slice(0,6).filter(t=>t.kind==="word"&&t.depth===0);return["create","drop","reindex","refresh"].includes(n[0]?.text??"")&&n.some(t=>t.text==="concurrently")}function rt(e,n,t){for(let s of["global","local","temporary","temp","unlogged","unique"])e.accept(s);if(e.accept("table")){e.accept("if","not","exists"),n.add(e.name());return}if(!e.accept("index"))return;let a=e.accept("concurrently");e.accept("if","not","exists");let r=e.peek()==="on"?"An index":`Index ${e.name()}`;e.accept("on"),e.accept("only");let i=e.name();!a&&!n.has(i)&&t("index-blocks",`${r} on ${i} is built without CONCURRENTLY: writes wait until it is done.`)}function it(e,n,t){let a=Z(e.rest(),"cascade");if(e.accept("database")||e.accept("schema")){e.accept("if","exists"),t("drop-database",`${e.name()} is dropped with all that is in it.`);return}if(e.accept("table")||e.accept("view")||e.accept("materialized","view")){e.accept("if","exists");for(let r of Oe(e.rest())){let i=new ve(r).name();n.has(i)||t("drop-table",`${i} is dropped: old code still reads it, and its data is gone.`)}return}!e.accept("index","concurrently")&&e.accept("index")&&(e.accept("if","exists"),t("index-blocks",`Index ${e.name()} is dropped without CONCURRENTLY: reads and writes wait for its lock.`)),a&&t("cascade","CASCADE also drops whatever depends on it.")}function ot(e,n){let t=e.peek(),a=e.rest();["type","view","materialized","domain","schema"].includes(t)&&Z(a,"rename")&&!Z(a,"rename","constraint")&&n("rename",`ALTER ${t.toUpperCase()} renames: one of two live versions does not know the name.`)}function st(e,n){let{made:t}=n;e.accept("if","exists"),e.accept("only");let a=e.name();if(e.acceptSymbol("*"),t.has(a)){e.accept("rename","to")&&t.add(e.name());return}for(let r of Oe(e.rest()))ct(new ve(r),a,n)}var lt=["constraint","primary","unique","foreign","check","exclude"],dt=["serial","bigserial","smallserial","serial4","serial8","serial2"];function ct(e,n,t){let{report:a,added:r}=t;if(e.accept("rename")){if(e.accept("constraint"))return;let o=e.accept("to")?n:(e.accept("column"),`column ${e.name()} of ${n}`);a("rename",`${ft(o)} is renamed: one of two live versions does not know the name.`);return}if(e.accept("drop")){if(e.accept("constraint")){Z(e.rest(),"cascade")&&a("cascade","CASCADE also drops whatever depends on it.");return}e.accept("column"),e.accept("if","exists"),a("drop-column",`Column ${e.name()} of ${n} is dropped: old code still names it, and its data is gone.`);return}if(e.accept("add")){lt.includes(e.peek())?ut(e.rest(),n,a):pt(e,n,t);return}if(!e.accept("alter")||e.peek()==="constraint")return;e.accept("column");let i=e.name(),s=r.get(`${n}.${i}`);if(e.accept("set","not","null"))a("set-not-null",`Column ${i} of ${n} becomes NOT NULL: the table is scanned under an exclusive lock, and NULLs of old code fail.`);else if(e.accept("drop","default"))s!==void 0&&(s.hasDefault=!1);else if(e.accept("set","default"))s!==void 0&&(s.hasDefault=!0);else if(e.accept("type")||e.accept("set","data","type")){let o=t.operation?.alters,l=o?.table===n&&o.column===i?o:void 0;if(l!==void 0&&mt(l.from,l.to))return;let d=l===void 0?"":` from ${l.from} to ${l.to}`;a("change-type",`Column ${i} of ${n} changes its type${d}: the table may be rewritten under an exclusive lock.`)}}function pt(e,n,t){e.accept("column"),e.accept("if","not","exists");let a=e.name(),r=e.rest();if((Z(r,"unique")||Z(r,"primary","key"))&&t.report("constraint-blocks",`Column ${a} of ${n} is added with a unique index, which blocks the table while it is built.`),!Z(r,"not","null")&&!Z(r,"primary","key"))return;let i=r[0]?.text??"",s=Z(r,"default")||Z(r,"generated")||dt.includes(i);t.added.set(`${n}.${a}`,{column:a,table:n,hasDefault:s,report:t.report})}function ut(e,n,t){let a=new ve(e),r=a.accept("constraint")?`Constraint ${a.name()}`:"A constraint",i=a.rest();Z(i,"using","index")||(["unique","primary","exclude"].includes(a.peek())?t("constraint-blocks",`${r} on ${n} builds its index while the table is blocked, and duplicates of old code fail.`):["foreign","check"].includes(a.peek())&&!Z(i,"not","valid")&&t("constraint-blocks",`${r} on ${n} is checked against every row while the table is locked.`))}function mt(e,n){let t=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(e),a=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(n);return t===null?!1:n==="text"||n==="varchar"?t[1]!=="numeric":a===null||t[1]==="numeric"!=(a[1]==="numeric")?!1:Number(a[2])>=Number(t[2])&&(a[3]??"0")===(t[3]??"0")}function ft(e){return e.startsWith("column")?`C${e.slice(1)}`:`Table ${e}`}function Re(e=262144){let n="";return{add:t=>{n=(n+t).slice(-e)},text:()=>n}}function xe(e,n=15){return e.trimEnd().split(`
`).slice(-n).filter(Boolean)}function _e(e,n){let t=e.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g,"$1:***@");for(let a of n)a!==""&&(t=t.replaceAll(a,"***"));return t}var ht=64*2**20,Ee=`
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`,Ie=`SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  ${Ee} ORDER BY 1 \\gexec
`;async function gt(e){let n=(0,W.c)(e.limit??36e5),t=[e.connection.PGPASSWORD??""],a={...e.environment,...e.connection,LC_MESSAGES:"C"},r=await _t(e),i=h=>{e.log.progress({what:h,elapsed:n.elapsed(),remaining:n.remaining()})};async function s(h,y,_,x){let T=await(0,ie.b)({command:[r[h],...y],env:x===void 0?a:{...a,PGDATABASE:x},..._===void 0?{}:{input:_},signal:e.signal,timeout:Math.max(1,n.remaining()),keep:ht});if(T.code===0)return T.stdout;let B=xe(_e(T.stderr,t));throw ee(`${h} ended with ${T.signal??`code ${T.code}`}: ${B.at(-1)??"no message"}`,{details:B})}let o=async(h,y)=>(await s("psql",["-XAtq","-v","ON_ERROR_STOP=1","-f","-"],h,y)).trimEnd();i("reading the size of the database");let[l="",d="",m=""]=(await o(`SELECT current_setting('server_version_num'), coalesce(sum(pg_table_size(c.oid)), 0), current_database()
      ${Ee}`)).split("|");await wt(await s("pg_dump",["--version"]),Number(l)),await(0,G.mkdir)(e.directory,{recursive:!0}),await bt(e.directory,e.requiredBytes??Number(d));let g=e.name??`${$t(m)}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g,"")}.dump`,k=(0,O.join)(e.directory,g),$=`${k}.partial`,u=await vt(r.psql,a,t,e.signal);try{await(await(0,G.open)($,"wx",384)).close(),i("dumping the database"),await s("pg_dump",["-Fc","--no-password","--lock-wait-timeout=30s",`--snapshot=${u.id}`,"-f",$]);let{size:h}=await(0,G.stat)($);if(h===0)throw ee("pg_dump wrote an empty file.");i("verifying the dump");let y=qe(await u.query(`SELECT n.nspname || ' ' || c.relname ${Ee} ORDER BY 1;
`)),_=await s("pg_restore",["--list",$]),x=y.filter(j=>!_.includes(` TABLE DATA ${j} `));if(x.length>0)throw ee(`The dump lacks the tables ${x.join(", ")}.`);await s("pg_restore",["--file=/dev/null",$]);let T=null;if(e.verify==="restore"){i("restoring the dump into a scratch database");let j=Me(await u.query(Ie));T=await w($,`deploy_actions_verify_${(0,L.randomBytes)(6).toString("hex")}`);let J=Object.keys(j).filter(oe=>j[oe]!==T?.[oe]);if(J.length>0){let oe=J.map(ne=>`${ne} (${j[ne]} rows, restored ${T?.[ne]??"none"})`);throw ee(`The restored dump differs: ${oe.join(", ")}.`)}}let B=await kt($);await(0,G.rename)($,k);let U=y.map(j=>j.replace(" ","."));return{file:k,bytes:h,sha256:B,tables:U,rows:T,verified:e.verify,elapsed:n.elapsed()}}catch(h){throw await(0,G.rm)($,{force:!0}),yt(h,n.total)}finally{await u.release()}async function w(h,y){try{await o(`SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', '${y}',
           pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database() \\gexec
`)}catch(_){throw ee(`No scratch database can be made to restore into: ${(0,v.c)(_)}`,{remedy:"Give the database user CREATEDB, or verify the dump without restoring it.",cause:_})}try{return await s("pg_restore",["--no-owner","--no-privileges","--exit-on-error","-d",y,h]),Me(await o(Ie,y))}finally{await(0,ie.b)({command:[r.psql,"-XAtqc",`DROP DATABASE IF EXISTS ${y}`],env:a,signal:new AbortController().signal,timeout:15e3}).then(({code:_})=>{_!==0&&e.log.warning(`The scratch database ${y} could not be dropped; drop it by hand.`)},_=>e.log.warning(`The scratch database ${y} is left: ${(0,v.c)(_)}`))}}}function ee(e,n={}){return new v.a("backup_failed",`${e} Nothing was migrated.`,n)}function yt(e,n){return e instanceof v.a?e.reasonCode==="timeout"?ee(`The backup did not end within ${(0,W.b)(n)}.`,{cause:e}):e:ee((0,v.c)(e),{cause:e})}async function _t(e){let n=e.postgresBin===void 0?(e.environment.PATH??"").split(O.delimiter).filter(Boolean):[e.postgresBin],t=async a=>{for(let r of n){let i=(0,O.join)(r,a);if(await(0,G.access)(i,G.constants.X_OK).then(()=>!0,()=>!1))return i}throw ee(`${a} is not ${e.postgresBin===void 0?"on PATH":`in ${e.postgresBin}`}.`,{remedy:"Install the client programs of PostgreSQL, of the server\u2019s version or later, or name their folder."})};return{pg_dump:await t("pg_dump"),pg_restore:await t("pg_restore"),psql:await t("psql")}}async function wt(e,n){let t=Number(/\(PostgreSQL\) (\d+)/.exec(e)?.[1]),a=Math.floor(n/1e4);if(!(t>=a))throw ee(`pg_dump is version ${t||e.trim()}, older than the server, version ${a}: it refuses to dump.`,{remedy:`Install the client programs of PostgreSQL ${a} or later, or name their folder.`})}async function bt(e,n){let{bavail:t,bsize:a}=await(0,G.statfs)(e),r=t*a;if(!(r>=n))throw ee(`${e} has ${Be(r)} free; the dump may take ${Be(n)}.`,{remedy:"Free some space, or name another folder for the backup."})}async function vt(e,n,t,a){let r=(0,ue.spawn)(e,["-XAtq","-v","ON_ERROR_STOP=1"],{env:n,stdio:"pipe"}),i=Re();r.stderr.setEncoding("utf8").on("data",i.add),r.stdin.on("error",()=>{});let s=(0,A.createInterface)({input:r.stdout}),o=Promise.withResolvers();o.promise.catch(()=>{});let l=new Promise(g=>{r.on("error",k=>o.reject(ee((0,v.c)(k),{cause:k}))),r.on("close",()=>{let k=xe(_e(i.text(),t)).at(-1)??"it ended";o.reject(a.aborted?(0,v.b)("dumping the database"):ee(`psql lost its snapshot: ${k}`)),g()})}),d=()=>{r.kill("SIGTERM")};a.addEventListener("abort",d);async function m(g){let k=`end-${(0,L.randomBytes)(8).toString("hex")}`,$=[],u=Promise.withResolvers(),w=h=>{h===k?u.resolve($.join(`
`)):$.push(h)};s.on("line",w),r.stdin.write(`${g}\\echo ${k}
`);try{return await Promise.race([u.promise,o.promise])}finally{s.off("line",w)}}return{id:await m(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();
`),query:m,release:async()=>{a.removeEventListener("abort",d),r.stdin.end(),await l}}}function Me(e){return Object.fromEntries(qe(e).map(n=>{let t=n.lastIndexOf("|");return[n.slice(0,t),Number(n.slice(t+1))]}))}function qe(e){return e.split(`
`).filter(Boolean)}async function kt(e){let n=(0,L.createHash)("sha256");for await(let t of(0,K.createReadStream)(e))n.update(t);return n.digest("hex")}function $t(e){return e.replaceAll(/[^\w.-]/g,"_")}function Be(e){return`${(e/2**20).toFixed(1)} MiB`}function xt(){return`"""Answers about, and runs, the migrations of a Django project, from inside the project's own Python.

It speaks JSON lines on the standard input and output that it was started with. The first line says what it is to be:

  {"mode": "session", ...}   answers requests {"id", "command", ...} with {"id", "result"} or {"id", "error"}
  {"mode": "migrate", ...}   runs \`manage.py migrate\` once and tells its course as {"event", ...}

The standard input is also the life line: when it closes, because whoever started this is gone, a session ends and its
lock with it, and a running migration is cancelled.
"""

import ast
import hashlib
import inspect
import json
import os
import runpy
import sys
import threading
import time
import traceback

# The application may print to its standard output and read its standard input; neither may touch the protocol.
channel_in = os.fdopen(os.dup(0), "r", encoding="utf-8")
channel_out = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)

LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK_DETECTED = "40P01"
PING_SECONDS = 1.0
CANCEL_SECONDS = 3.0
CANCEL_ATTEMPTS = 10

emitting = threading.Lock()


def emit(message):
    with emitting:
        try:
            channel_out.write(json.dumps(message) + "\\n")
            channel_out.flush()
        except OSError:
            os._exit(1)  # nobody listens any more


class Failure(Exception):
    """Something to tell a person; \`code\` is a reason code of the suite."""

    def __init__(self, code, message, remedy=None, details=None):
        super().__init__(message)
        self.report = {"code": code, "message": message, "remedy": remedy, "details": details or []}


# --- Errors ---


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def sqlstate_of(error):
    """SQLSTATE as psycopg 3 and psycopg2 carry it; texts of the server are translated, codes are not."""
    for link in chain(error):
        state = getattr(link, "sqlstate", None) or getattr(link, "pgcode", None)
        if isinstance(state, str):
            return state
    return None


def where(error):
    """The innermost line of the project's own code, else the innermost line."""
    if isinstance(error, SyntaxError) and error.filename:
        return "%s:%s" % (error.filename, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(os.getcwd()) and "site-packages" not in frame.filename]
    for frame in reversed(own or frames):
        return "%s:%s" % (frame.filename, frame.lineno)
    return None


def last_line(error):
    return traceback.format_exception_only(type(error), error)[-1].strip()


def connection_failure(error):
    """Why there is no connection. libpq gives no SQLSTATE here, only text."""
    text = " ".join(str(error).split())
    lower = text.lower()
    if any(word in lower for word in ("password", "authentication", "pg_hba", "permission denied", "role \\"")):
        return Failure(
            "permission_denied",
            "The database refused the connection: %s" % text,
            "Check user and password of the database, and the rights of the user.",
        )
    if "database \\"" in lower and "does not exist" in lower:
        return Failure("not_found", "The database does not exist: %s" % text, "Create it, or correct its name.")
    return Failure(
        "unreachable",
        "The database cannot be reached: %s" % text,
        "Check host and port in the settings, and that this machine may connect to it.",
    )


def failure_of(error, doing):
    if isinstance(error, Failure):
        return error
    state = sqlstate_of(error)
    names = {base.__name__ for link in chain(error) for base in type(link).__mro__}
    if state is None and "OperationalError" in names:
        return connection_failure(error)
    if state is not None and (state.startswith("28") or state == "42501"):
        return Failure("permission_denied", "%s: %s" % (doing, last_line(error)), "Grant the right to the database user.")
    return Failure(
        "command_failed",
        "%s: %s (%s)" % (doing, last_line(error), where(error)),
        None,
        "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()[-15:],
    )


# --- The project ---


class Prepared(BaseException):
    """manage.py has done all it does before it runs a command."""


def run_manage(manage, arguments):
    """Runs manage.py as \`python manage.py ...\` does."""
    sys.argv = [manage] + arguments
    runpy.run_path(os.path.abspath(manage), run_name="__main__")


def require_django(manage):
    sys.path[0] = os.path.dirname(os.path.abspath(manage))
    try:
        from django.core import management
    except ImportError as error:
        if (getattr(error, "name", None) or "django").split(".")[0] != "django":
            raise
        raise Failure(
            "not_found",
            "Django is not installed for %s." % sys.executable,
            "Name the Python that the application runs with (a virtual environment's bin/python).",
        )
    return management


def load_project(manage):
    """Lets manage.py choose the settings, paths and environment, and starts Django where it would run a command."""
    management = require_django(manage)
    original = management.execute_from_command_line

    def stop_here(*_arguments):
        raise Prepared()

    management.execute_from_command_line = stop_here
    try:
        run_manage(manage, ["migrate"])
    except Prepared:
        pass
    except SystemExit as error:
        raise Failure("command_failed", "%s ended by itself (%s) before it ran a command." % (manage, error.code))
    except Exception as error:
        raise failure_of(error, "%s cannot be run" % manage)
    finally:
        management.execute_from_command_line = original
    import django

    try:
        django.setup()
    except Exception as error:
        settings = os.environ.get("DJANGO_SETTINGS_MODULE", "none")
        raise failure_of(error, "Django cannot start with the settings %s" % settings)


def connect(alias):
    from django.db import connections
    from django.utils.connection import ConnectionDoesNotExist

    try:
        connection = connections[alias]
    except ConnectionDoesNotExist:
        raise Failure("invalid_input", "The settings have no database %r; they have: %s." % (alias, ", ".join(connections)))
    if connection.vendor != "postgresql":
        raise Failure("unsupported", "The database %r is %s; only PostgreSQL is supported." % (alias, connection.vendor))
    connection.close_if_unusable_or_obsolete()
    connection.ensure_connection()
    return connection


def rows(connection, sql, parameters=()):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def identity(connection):
    info = connection.connection.info
    return {
        "host": info.host or "",
        "port": int(info.port),
        "name": info.dbname,
        "serverVersion": info.server_version,
    }


def invalid_indexes(connection):
    """Left by failed concurrent builds; those that are being built at this moment are invalid too, and not meant."""
    return [
        name
        for (name,) in rows(
            connection,
            """
            SELECT format('%%I.%%I', n.nspname, c.relname)
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
              AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
            ORDER BY 1
            """,
            (),
        )
    ]


# --- The plan ---


def label(key):
    return "%s.%s" % (key[0], key[1])


def key_of(migration):
    return (migration.app_label, migration.name)


def resolve(executor, targets):
    """Nodes of the graph for what was asked for; everything when nothing was."""
    loader = executor.loader
    if not targets:
        return loader.graph.leaf_nodes()
    nodes = []
    for target in targets:
        app, name = target["app"], target.get("name")
        if app not in loader.migrated_apps:
            known = ", ".join(sorted(loader.migrated_apps))
            raise Failure("not_found", "There is no app %r with migrations; there are: %s." % (app, known))
        if name is None:
            nodes.extend(loader.graph.leaf_nodes(app))
            continue
        matches = [node for node in loader.graph.nodes if node[0] == app and node[1].startswith(name)]
        if (app, name) in matches:
            matches = [(app, name)]
        if len(matches) != 1:
            known = ", ".join(sorted(node[1] for node in matches or loader.graph.nodes if node[0] == app))
            raise Failure("not_found", "%r does not name one migration of %s; there are: %s." % (name, app, known))
        nodes.append(matches[0])
    return nodes


def forward(executor, nodes):
    plan = executor.migration_plan(nodes)
    back = [label(key_of(migration)) for migration, backwards in plan if backwards]
    if back:
        raise Failure(
            "invalid_input",
            "The target lies behind: it would take back %s." % ", ".join(back),
            "A plan goes forward only; take a plan back with its reverse.",
        )
    return [migration for migration, _ in plan]


def observe_operations(migration, before, after):
    """Calls \`before(index)\` and \`after(index, from_state, to_state)\` around each operation's work on the database."""

    def wrap(index, operation):
        original = operation.database_forwards

        def observed(app_label, schema_editor, from_state, to_state):
            before(index, schema_editor)
            original(app_label, schema_editor, from_state, to_state)
            after(index, schema_editor, from_state, to_state)

        operation.database_forwards = observed

    for index, operation in enumerate(migration.operations):
        wrap(index, operation)


def stop_observing(migration):
    for operation in migration.operations:
        operation.__dict__.pop("database_forwards", None)


def altered_column(operation, connection, app, from_state, to_state):
    if type(operation).__name__ != "AlterField":
        return None
    before = from_state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
    after = to_state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
    types = [field.db_parameters(connection=connection)["type"] for field in (before, after)]
    if None in types:
        return None
    return {"table": before.model._meta.db_table, "column": before.column, "from": types[0], "to": types[1]}


def collect_sql(connection, migration, state):
    """SQL of each operation and what is deferred to the end, as \`sqlmigrate\` makes it; and the state afterwards."""
    spans, started, alters = {}, {}, {}

    def before(index, editor):
        started[index] = len(editor.collected_sql)

    def after(index, editor, from_state, to_state):
        spans[index] = editor.collected_sql[started[index] :]
        alters[index] = altered_column(migration.operations[index], connection, migration.app_label, from_state, to_state)

    observe_operations(migration, before, after)
    try:
        with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
            state = migration.apply(state, editor, collect_sql=True)
            marked = len(editor.collected_sql)
        deferred = editor.collected_sql[marked:]
    finally:
        stop_observing(migration)
    everything = "\\n".join(editor.collected_sql)
    return {index: "\\n".join(part) for index, part in spans.items()}, "\\n".join(deferred), everything, alters, state


def source_of(migration):
    """File, its SHA-256 and the line of each operation. Lines are known when \`operations\` is written as one list."""
    try:
        path = inspect.getsourcefile(type(migration))
        with open(path, "rb") as file:
            text = file.read()
    except (OSError, TypeError):
        return None, None, []
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            for statement in node.body:
                if (
                    isinstance(statement, ast.Assign)
                    and getattr(statement.targets[0], "id", None) == "operations"
                    and isinstance(statement.value, (ast.List, ast.Tuple))
                ):
                    lines = [element.lineno for element in statement.value.elts]
    shown = os.path.relpath(path)
    return (path if shown.startswith("..") else shown), hashlib.sha256(text).hexdigest(), lines


def describe(connection, migration, state):
    """One migration of the plan. The state afterwards is None when its SQL cannot be made."""
    try:
        parts, deferred, sql, alters, state = collect_sql(connection, migration, state)
        problem = None
    except Exception as error:
        parts, deferred, sql, alters, state, problem = {}, "", None, {}, None, last_line(error)
    path, digest, lines = source_of(migration)
    exact = len(lines) == len(migration.operations)
    operations = [
        {
            "kind": type(operation).__name__,
            "description": operation.describe(),
            "reversible": bool(operation.reversible),
            "line": lines[index] if exact else None,
            "sql": parts.get(index, ""),
            "alters": alters.get(index),
        }
        for index, operation in enumerate(migration.operations)
    ]
    return {
        "app": migration.app_label,
        "name": migration.name,
        "atomic": bool(migration.atomic),
        "reversible": all(operation["reversible"] for operation in operations),
        "operations": operations,
        "deferredSql": deferred,
        "sql": sql,
        "sqlProblem": problem,
        "sourceHash": digest,
        "file": path,
    }, state


def way_back(executor, planned):
    """Targets that take the plan back, proven by going through them on paper: exactly the plan, nothing else."""
    loader = executor.loader
    original = loader.applied_migrations
    keys = [key_of(migration) for migration in planned]
    reasons = [
        "%s cannot be taken back: %s"
        % (label(key_of(migration)), "; ".join(op.describe() for op in migration.operations if not op.reversible))
        for migration in planned
        if not all(op.reversible for op in migration.operations)
    ]
    steps = []
    simulated = dict(original)
    simulated.update({key_of(migration): migration for migration in planned})
    try:
        for app in dict.fromkeys(app for app, _ in reversed(keys)):
            parents = [
                key
                for key in original
                if key[0] == app
                and key in loader.graph.nodes
                and not any(child.key[0] == app and child.key in original for child in loader.graph.node_map[key].children)
            ]
            if len(parents) > 1:
                reasons.append("the migrations of %s branch: %s" % (app, ", ".join(sorted(label(key) for key in parents))))
                continue
            target = parents[0] if parents else (app, None)
            loader.applied_migrations = simulated
            taken = [key_of(migration) for migration, backwards in executor.migration_plan([target]) if backwards]
            foreign = [label(key) for key in taken if key not in keys]
            if foreign:
                reasons.append("going back to %s would also take back %s" % (label((app, target[1])), ", ".join(foreign)))
            for key in taken:
                simulated.pop(key, None)
            if taken:
                steps.append({"app": app, "name": target[1] or "zero", "unapplies": [label(key) for key in taken]})
        left = [label(key) for key in keys if key in simulated]
        if left and not reasons:
            reasons.append("no targets take back %s" % ", ".join(left))
    finally:
        loader.applied_migrations = original
    return {"possible": False, "reasons": reasons} if reasons else {"possible": True, "steps": steps}


def new_executor(connection):
    from django.db.migrations.exceptions import InconsistentMigrationHistory
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        executor.loader.check_consistent_history(connection)
    except InconsistentMigrationHistory as error:
        raise Failure("migration_failed", str(error), "Nothing was migrated. Repair the history of migrations first.")
    conflicts = executor.loader.detect_conflicts()
    if conflicts:
        named = "; ".join("%s: %s" % (app, ", ".join(sorted(names))) for app, names in sorted(conflicts.items()))
        raise Failure(
            "migration_failed",
            "Migrations conflict: there are two ends in one app (%s). Nothing was migrated." % named,
            "Make a merge migration: manage.py makemigrations --merge.",
        )
    return executor


def inspect_database(alias, targets, with_plan):
    connection = connect(alias)
    try:
        rows(connection, "SELECT 1")
        executor = new_executor(connection)
        loader = executor.loader
        everything = executor.migration_plan(loader.graph.leaf_nodes(), clean_start=True)
        result = {
            "database": identity(connection),
            "migrations": [
                {
                    "app": migration.app_label,
                    "name": migration.name,
                    "state": "applied" if key_of(migration) in loader.applied_migrations else "not-applied",
                }
                for migration, _ in everything
            ],
            "invalidIndexes": invalid_indexes(connection),
        }
        if with_plan:
            planned = forward(executor, resolve(executor, targets))
            result["plan"] = []
            state = executor._create_project_state(with_applied_migrations=True)
            for position, migration in enumerate(planned):
                described, state = describe(connection, migration, state)
                result["plan"].append(described)
                if state is None:
                    state = executor._create_project_state(with_applied_migrations=True)
                    for earlier in planned[: position + 1]:
                        state = earlier.mutate_state(state, preserve=False)
            result["reverse"] = way_back(executor, planned)
        return result
    finally:
        connection.close()


def unapplied_by(alias, steps):
    """What each step back would take back now."""
    connection = connect(alias)
    try:
        executor = new_executor(connection)
        applied = dict(executor.loader.applied_migrations)
        result = []
        for step in steps:
            executor.loader.applied_migrations = applied
            target = (step["app"], None if step["name"] == "zero" else step["name"])
            if target[1] is not None and target not in executor.loader.graph.nodes:
                raise Failure("not_found", "There is no migration %s to go back to." % label(target))
            taken = [key_of(migration) for migration, backwards in executor.migration_plan([target]) if backwards]
            for key in taken:
                applied.pop(key, None)
            result.append([label(key) for key in taken])
        return result
    finally:
        connection.close()


PG_VARIABLES = {
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "host": "PGHOST",
    "port": "PGPORT",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def connection_environment(alias):
    connection = connect(alias)
    try:
        parameters = connection.get_connection_params()
        return {PG_VARIABLES[key]: str(value) for key, value in parameters.items() if key in PG_VARIABLES and value not in (None, "")}
    finally:
        connection.close()


# --- The lock ---


class Lock:
    """A session advisory lock on a connection of its own, which lives as long as this process, or until it is lost."""

    def __init__(self, alias):
        self.connection = connect(alias)
        self.raw = None
        self.stopped = threading.Event()
        self.thread = None

    def take(self, name, holder):
        """True, or who holds it: a dictionary."""
        key = hashlib.sha256(("deploy-actions migrate %s" % name).encode()).digest()[:8]
        parameters = dict(self.connection.get_connection_params())
        parameters.update(application_name=holder[:63], keepalives_idle=10, keepalives_interval=5, keepalives_count=3)
        self.connection.close()
        self.raw = self.connection.Database.connect(**parameters)
        self.raw.autocommit = True
        number = int.from_bytes(key, "big", signed=True)
        (taken, pid), = self.query("SELECT pg_try_advisory_lock(%s), pg_backend_pid()", (number,))
        if taken:
            self.thread = threading.Thread(target=self.watch, args=(pid,), daemon=True)
            self.thread.start()
            return True
        # A bigint key is shown as two halves, with objsubid 1.
        found = self.query(
            """
            SELECT a.pid, a.application_name, a.usename, host(a.client_addr), extract(epoch FROM now() - a.backend_start)
            FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
              AND l.classid::bigint = %s AND l.objid::bigint = %s
            """,
            (int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")),
        )
        self.raw.close()
        if not found:
            return {"pid": None, "name": None, "user": None, "address": None, "seconds": None}
        pid, application, user, address, seconds = found[0]
        return {"pid": pid, "name": application, "user": user, "address": address, "seconds": float(seconds or 0)}

    def query(self, sql, parameters=()):
        with self.raw.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def watch(self, pid):
        """Ends the process when the session is gone, or when a pooler gave it to somebody else."""
        while not self.stopped.wait(PING_SECONDS):
            try:
                (now,), = self.query("SELECT pg_backend_pid()")
                lost = None if now == pid else "the connection goes through a pooler that changes sessions"
            except Exception as error:
                lost = last_line(error)
            if lost is not None and not self.stopped.is_set():
                emit({"event": "lock_lost", "message": lost})
                os._exit(3)

    def release(self):
        self.stopped.set()
        if self.thread is not None:
            self.thread.join(PING_SECONDS * 2)
        self.raw.close()


# --- Modes ---


def session(request):
    load_project(request["manage"])
    alias = request["database"]
    lock = None
    emit({"event": "ready"})
    for line in channel_in:
        message = json.loads(line)
        command = message["command"]
        try:
            if command == "status":
                result = inspect_database(alias, [], False)
            elif command == "plan":
                result = inspect_database(alias, message["targets"], True)
            elif command == "unapplied-by":
                result = unapplied_by(alias, message["steps"])
            elif command == "connection":
                result = connection_environment(alias)
            elif command == "lock":
                attempt = Lock(alias)
                result = attempt.take(message["name"], message["holder"])
                lock = attempt if result is True else lock
            elif command == "unlock":
                if lock is not None:
                    lock.release()
                    lock = None
                result = None
            else:
                raise Failure("internal", "Unknown command %r." % command)
            emit({"id": message["id"], "result": result})
        except Exception as error:
            emit({"id": message["id"], "error": failure_of(error, "The database cannot be inspected").report})
    os._exit(0)  # the input is closed: nobody is there, and the lock must not wait for the application's threads


def cancel_when_alone(current):
    """Waits for the end of the input, then cancels what runs on the server, and ends the process if it goes on."""
    channel_in.read()
    current["stopping"] = True
    for _ in range(CANCEL_ATTEMPTS):
        try:
            current["connection"].connection.cancel()
        except Exception:
            pass  # no connection yet, or none any more
        time.sleep(CANCEL_SECONDS / CANCEL_ATTEMPTS)
    os._exit(4)


def limit_waiting(request):
    """Time-outs for every connection that is made, by statement: PgBouncer refuses them as start-up options."""
    from django.db.backends.signals import connection_created

    def set_limits(sender, connection, **_):
        if connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = %d" % request["lockTimeout"])
            cursor.execute("SET statement_timeout = %d" % request["statementTimeout"])
            if connection.connection.info.server_version >= 140000:
                # So that the server ends a long statement when this process is gone.
                cursor.execute("SET client_connection_check_interval = 1000")

    connection_created.connect(set_limits, weak=False)


def report_course(current):
    from django.db.migrations.executor import MigrationExecutor

    def reporting(original, verb):
        def run(self, state, migration, *arguments, **options):
            if current.get("stopping"):
                raise Failure("cancelled", "Cancelled before %s." % label(key_of(migration)))
            current["connection"] = self.connection
            name = {"app": migration.app_label, "name": migration.name}
            emit(dict(name, event="started", verb=verb, operations=len(migration.operations)))
            begin = time.monotonic()
            if verb == "apply" and not migration.atomic:
                # Without a transaction each operation stays done: how far it came has to be known.
                observe_operations(
                    migration,
                    lambda index, editor: None,
                    lambda index, *_: emit(dict(name, event="operation", index=index)),
                )
            result = original(self, state, migration, *arguments, **options)
            emit(dict(name, event="ended", verb=verb, milliseconds=round((time.monotonic() - begin) * 1000)))
            return result

        return run

    MigrationExecutor.apply_migration = reporting(MigrationExecutor.apply_migration, "apply")
    MigrationExecutor.unapply_migration = reporting(MigrationExecutor.unapply_migration, "unapply")


def migrate(request):
    current = {}
    threading.Thread(target=cancel_when_alone, args=(current,), daemon=True).start()
    require_django(request["manage"])
    limit_waiting(request)
    report_course(current)
    try:
        # With --traceback an error is raised to here instead of being printed.
        options = ["--noinput", "--traceback", "--database", request["database"]]
        run_manage(request["manage"], ["migrate"] + request["arguments"] + options)
    except SystemExit as error:
        if error.code not in (None, 0):
            raise Failure("migration_failed", "manage.py migrate ended with code %s." % error.code)
    except Exception as error:
        state = sqlstate_of(error)
        traceback.print_exc()
        report = dict(failure_of(error, "manage.py migrate failed").report)
        if state is not None or report["code"] == "command_failed":
            report.update(code="migration_failed", message=last_line(error))
        emit({"event": "failed", "error": report, "retry": state in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED), "sqlstate": state})
        return
    emit({"event": "done"})


def main():
    request = json.loads(channel_in.readline())
    try:
        {"session": session, "migrate": migrate}[request["mode"]](request)
    except Exception as error:
        emit({"event": "failed", "error": failure_of(error, "The project cannot be loaded").report, "retry": False})


main()
`}function Et(e){let n=Buffer.byteLength(e);return["-c",["import os","program = b''",`while len(program) < ${n}:`,`    part = os.read(0, ${n} - len(program))`,"    if not part: os._exit(1)","    program += part","exec(compile(program, 'deploy-actions helper.py', 'exec'))"].join(`
`)]}function Ue(e,n,t){let a=xt(),r=(0,ue.spawn)(e.python,Et(a),{cwd:e.directory,env:{...e.environment,PYTHONUNBUFFERED:"1",PYTHONIOENCODING:"utf-8"},stdio:"pipe"}),i=Re(),s;r.on("error",l=>{s=l}),r.stdin.on("error",()=>{}),(0,A.createInterface)({input:r.stderr}).on("line",l=>{i.add(`${l}
`),t.log.debug(_e(l,t.secrets))}),(0,A.createInterface)({input:r.stdout}).on("line",l=>{let d=JSON.parse(l);(0,ae.c)(d)&&t.onMessage(d)}),r.stdin.write(a);let o=l=>{r.stdin.write(`${JSON.stringify(l)}
`)};return o(n),{send:o,hangUp:()=>r.stdin.end(),kill:l=>{r.kill(l)},ended:new Promise(l=>{r.on("close",()=>l())}),unexpectedEnd:l=>{if(s!==void 0&&(0,v.d)(s)!==void 0)return new v.a("not_found",`The Python ${e.python} cannot be started.`,{remedy:"Name the Python that the application runs with, such as .venv/bin/python.",cause:s});let d=r.signalCode??`code ${r.exitCode}`;return new v.a("command_failed",`The application's Python ended (${d}) while ${l}.`,{details:xe(_e(i.text(),t.secrets))})}}}function Te(e,n){let t=(0,ae.c)(e)?e:{},a=i=>_e(typeof i=="string"?i:"",n),r=Array.isArray(t.details)?t.details.map(a):[];return new v.a(Tt(t.code)?t.code:"internal",a(t.message),{remedy:a(t.remedy)||void 0,details:r})}function Tt(e){return typeof e=="string"&&Object.hasOwn(M,e)}var At=4e3,Nt=5e3;async function St(e,n,t){let a={error:null,retry:!1,unfinished:null};if(t.signal.aborted)return{...a,error:(0,v.b)("migrations were about to be run")};let r=!1,i=performance.now(),s=Ue(e,{mode:"migrate",manage:e.manage,...n},{...t,onMessage:d=>{let m=`${String(d.app)}.${String(d.name)}`;switch(d.event){case"started":a.unfinished={migration:m,operationsDone:0,operations:Number(d.operations)},t.log.progress({what:d.verb==="apply"?"applying migrations":"taking back migrations",elapsed:performance.now()-i,detail:m});break;case"operation":a.unfinished!==null&&(a.unfinished.operationsDone=Number(d.index)+1);break;case"ended":a.unfinished=null,t.log.info(`${d.verb==="apply"?"Applied":"Took back"} ${m} in ${(0,W.b)(Number(d.milliseconds))}.`);break;case"failed":a.error=Te(d.error,t.secrets),a.retry=d.retry===!0;break;case"done":r=!0;break}}}),o=[],l=()=>{s.hangUp(),o.push(setTimeout(()=>s.kill("SIGTERM"),At)),o.push(setTimeout(()=>s.kill("SIGKILL"),Nt))};return t.signal.addEventListener("abort",l),await s.ended,o.forEach(clearTimeout),t.signal.removeEventListener("abort",l),r||(a.error??=s.unexpectedEnd("migrations were being run")),a}var Lt=6e4,Ot=12e4,Ct=5e3;async function jt(e,n,t){let a=new Map,r=Promise.withResolvers(),i=new AbortController,s,o=1,l=Ue(e,{mode:"session",manage:e.manage,database:n},{...t,onMessage:m=>{if(m.event==="ready")r.resolve(void 0);else if(m.event==="failed")s=Te(m.error,t.secrets);else if(m.event==="lock_lost")s=new v.a("lock_lost",`The migration lock was lost: ${String(m.message)}.`,{remedy:"Connect to PostgreSQL directly, not through a pooler in transaction mode."});else{let g=Number(m.id),k=a.get(g);a.delete(g),"error"in m?k?.reject(Te(m.error,t.secrets)):k?.resolve(m.result)}}});l.ended.then(()=>{let m=s??l.unexpectedEnd("it was being asked");r.reject(m);for(let g of a.values())g.reject(m);a.clear(),i.abort(m)});async function d(m,g,k,$){let u=Promise.withResolvers(),w=()=>u.reject((0,v.b)(g));$.aborted&&w(),$.addEventListener("abort",w);let h=setTimeout(()=>u.reject(new v.a("timeout",`No answer from Django in ${k/1e3} s while ${g}.`)),k);try{return await Promise.race([m,u.promise])}catch(y){throw m.catch(()=>{}),y instanceof v.a&&(y.reasonCode==="timeout"||y.reasonCode==="cancelled")&&l.kill("SIGKILL"),y}finally{clearTimeout(h),$.removeEventListener("abort",w)}}return await d(r.promise,"Django was starting",Lt,t.signal),{lost:i.signal,request:async(m,g,k=Ot)=>{if(i.signal.aborted)throw i.signal.reason;let $=Promise.withResolvers(),u=o++;return a.set(u,$),l.send({...m,id:u}),await d($.promise,`asking for ${String(m.command)}`,k,g)},close:async()=>{l.hangUp();let m=setTimeout(()=>l.kill("SIGKILL"),Ct);await l.ended,clearTimeout(m)}}}var Dt=30*6e4,Pt=3e4,Rt=1e3,Y=e=>`${e.app}.${e.name}`;function It(e){let{log:n}=e,t=e.database??"default",a={directory:e.directory,python:e.python,manage:e.manage??"manage.py",environment:{...e.environment,...e.settings===void 0?{}:{DJANGO_SETTINGS_MODULE:e.settings}}},r=new Set,i;async function s(u){if(i!==void 0&&!i.lost.aborted)return i;let w=(0,O.join)(a.directory,a.manage);await(0,G.access)(w).catch(y=>{throw new v.a("not_found",`There is no ${w}.`,{remedy:"Name the directory of the application's manage.py.",cause:y})}),i=await jt(a,t,{log:n,secrets:r,signal:u});let h=Ge(await i.request({command:"connection"},u));return r.add(h.PGPASSWORD??""),i}async function o(u,w){return await(await s(u)).request(w,u)}async function l(u){let{database:w,migrations:h,invalidIndexes:y}=await o(u,{command:"status"});return{database:w,migrations:h,invalidIndexes:y}}async function d(u,w=[]){let h=await o(u,{command:"plan",targets:w}),y=h.plan.map(T=>({...T,sqlHash:T.sql===null?null:Mt(T.sql),findings:[]})),_={hash:qt(h.database,y),database:h.database,targets:w,migrations:y,reverse:h.reverse,invalidIndexes:h.invalidIndexes},x=Ce(_);return{..._,migrations:y.map(T=>({...T,findings:x.filter(B=>B.migration===Y(T))}))}}async function m(u,w){let h=await l(AbortSignal.timeout(6e4)),y=new Map(h.migrations.map(_=>[Y(_),_.state]));return u.migrations.map(_=>{let x={app:_.app,name:_.name},T=y.get(Y(_))??"not-applied";if(_.atomic||w?.migration!==Y(_))return{...x,state:T};let{operationsDone:B,operations:U}=w,j=h.invalidIndexes.filter(oe=>!u.invalidIndexes.includes(oe)),J=`it has no transaction: ${B} of ${U} operations are done`+(j.length>0?`; invalid indexes: ${j.join(", ")}`:"");return{...x,state:"partly",detail:J}})}async function g(u,w){let h=await s(u),y=(0,W.c)(e.lockWait??0);for(;;){let _=await h.request({command:"lock",name:e.deployment,holder:`deploy-actions ${e.holder}`},u);if(_===!0)break;if(y.passed())throw We(_);n.progress({what:"waiting for another migration",elapsed:y.elapsed(),remaining:y.remaining(),detail:We(_).message}),await(0,W.e)(Math.min(Rt,y.remaining()),u,"waiting for the migration lock")}try{return await w(AbortSignal.any([u,h.lost]),h)}finally{await h.request({command:"unlock"},AbortSignal.timeout(1e4)).catch(()=>{})}}async function k(u,w,h,y){let _=new Map(u.migrations.map(U=>[Y(U),U.atomic])),x=0,T=0,B;for(;;){await h?.check();let U=await St(a,{database:t,arguments:w,lockTimeout:e.lockTimeout??5e3,statementTimeout:e.statementTimeout??15*6e4},{log:n,secrets:r,signal:y}),j=U.unfinished?.migration;if(!(U.retry&&j!==void 0&&_.get(j)===!0)||y.aborted)return{outcome:U,retries:x};if(j!==B&&(T=0),B=j,T>=(e.retries??5))return{outcome:U,retries:x};let J=Math.min(Pt,(e.retryDelay??1e3)*2**T)*(.5+Math.random()/2);T+=1,x+=1,n.warning(`${j} could not get a lock in ${(0,W.b)(e.lockTimeout??5e3)}; retry ${T} of ${e.retries??5} in ${(0,W.b)(J)}.`);try{await(0,W.e)(J,y)}catch{return{outcome:U,retries:x}}}}async function $(u,w,h,y){let _=(0,W.c)(w.limit??Dt),x=AbortSignal.timeout(_.total);return await g(AbortSignal.any([w.signal,x]),async(T,B)=>{let U=await h(T,B);U.length>0&&await w.beforeWrite?.(T);let j=0;for(let J of U){if(B.lost.aborted)throw B.lost.reason;let oe=await k(u,J,w.fence,T);j+=oe.retries;let{error:ne,unfinished:cn,retry:pn}=oe.outcome;if(ne===null)continue;let he=Ut(w.signal,x,B,_.total)??ne,Ae=await m(u,cn).catch(un=>{throw new ye(he.reasonCode,`Migration stopped: ${he.message} What was applied cannot be read: ${(0,v.c)(un)}`,{states:[],details:ne.details,cause:ne})});throw new ye(pn&&he===ne?"migration_locked":he.reasonCode,`${y(Ae)} ${he.message}`,{states:Ae,remedy:Wt(Ae,he),details:ne.details,cause:ne})}return{states:await m(u,null),retries:j,elapsed:_.elapsed()}})}return{status:l,plan:d,lint:Ce,apply:(u,w)=>$(u,w,async h=>{let y=await d(h,u.targets);if(y.hash!==u.hash)throw Bt(u,y);return y.migrations.length===0?[]:u.targets.length===0?[[]]:u.targets.map(({app:_,name:x})=>x===void 0?[_]:[_,x])},h=>`Migration stopped with ${Fe(h)}.`),reverse:(u,w)=>$(u,w,async(h,y)=>{if(!u.reverse.possible)throw new v.a("unsupported",`There is no way back: ${u.reverse.reasons.join("; ")}.`,{remedy:"Restore the backup, or migrate forward with a correction."});let{steps:_}=u.reverse,x=await y.request({command:"unapplied-by",steps:_},h),T=Array.isArray(x)?x.map(Ft):[],B=new Set(u.migrations.map(Y)),U=T.flat().filter(j=>!B.has(j));if(U.length>0)throw new v.a("plan_changed",`Going back would also take back ${U.join(", ")}.`,{remedy:"These were applied later; take them back first."});return _.filter((j,J)=>(T[J]??[]).length>0).map(({app:j,name:J})=>[j,J])},h=>`Going back stopped with ${Fe(h)}.`),verify:async(u,w)=>{let h=await o(w,{command:"plan",targets:u.targets}),y=new Map(h.migrations.map(x=>[Y(x),x.state])),_=[...u.migrations.filter(x=>y.get(Y(x))!=="applied").map(x=>`${Y(x)} is not recorded as applied`),...h.plan.map(x=>`${Y(x)} is still to be applied`),...h.invalidIndexes.filter(x=>!u.invalidIndexes.includes(x)).map(x=>`the index ${x} is invalid`)];if(_.length>0)throw new v.a("verify_failed",`The database is not as planned: ${[...new Set(_)].join("; ")}.`,{remedy:"Drop an invalid index (DROP INDEX CONCURRENTLY), make the plan again and apply it."})},connection:async u=>Ge(await(await s(u)).request({command:"connection"},u)),close:async()=>{await i?.close(),i=void 0}}}function Mt(e){return(0,L.createHash)("sha256").update(e).digest("hex")}function qt(e,n){return(0,ae.b)({database:{host:e.host,port:e.port,name:e.name},migrations:n.map(({app:t,name:a,atomic:r,sqlHash:i,sourceHash:s})=>({app:t,name:a,atomic:r,sqlHash:i,sourceHash:s}))})}function Bt(e,n){let t=i=>i.migrations.map(Y).join(", ")||"nothing",a=({database:{host:i,port:s,name:o}})=>`${i}:${s}/${o}`,r=a(e)!==a(n)?`it was made for ${a(e)}, this is ${a(n)}`:t(e)!==t(n)?`it was to apply ${t(e)}; now it is ${t(n)}`:`the SQL or the source of its migrations has changed (${t(n)})`;return new v.a("plan_changed",`The plan is not the one that was approved: ${r}. Nothing was migrated.`,{remedy:"Make the plan again and have it approved."})}function We(e){let n=(0,ae.c)(e)?e:{},t=n.pid,a=typeof t=="number"?`"${String(n.name)}" (user ${String(n.user)}, server process ${t}, for ${(0,W.b)(Number(n.seconds)*1e3)})`:"somebody who has just ended";return new v.a("migration_locked",`Another migration holds the lock: ${a}. Nothing was migrated.`,{remedy:"Wait for it to end. If its run is dead, end its session with pg_terminate_backend."})}function Ut(e,n,t,a){return t.lost.aborted?new v.a("lock_lost",`The migration lock was lost: ${(0,v.c)(t.lost.reason)}`):e.aborted?(0,v.b)("migrating"):n.aborted?new v.a("timeout",`The limit of ${(0,W.b)(a)} is over.`):null}function Fe(e){let n=t=>e.filter(a=>a.state===t);return[`applied: ${n("applied").map(Y).join(", ")||"none"}`,...n("partly").map(t=>`partly applied: ${Y(t)} (${t.detail??""})`),`not applied: ${n("not-applied").map(Y).join(", ")||"none"}`].join("; ")}function Wt(e,n){return e.some(t=>t.state==="partly")?"Do not run it again as it is: undo by hand what was done, or make its operations repeatable.":n.remedy??"What is applied stays applied and recorded; correct the cause and run it again."}function Ge(e){let n=(0,ae.c)(e)?Object.entries(e):[];return Object.fromEntries(n.filter(t=>typeof t[1]=="string"))}function Ft(e){return Array.isArray(e)?e.filter(n=>typeof n=="string"):[]}async function Gt({log:e,redact:n},t,a){try{await a()}catch(r){e.warning(n(`${t} could not be published; this does not change the result. ${(0,v.c)(r)}`))}}function Kt(e){return e.replace(/-{2,}/g,"-")}function Ht(e,n,t){let a=Kt(t.purpose);return Gt(n,t.title,()=>zt(e,n,{...t,purpose:a}))}async function zt(e,n,t){let{purpose:a,title:r,verdict:i}=t,s=(0,se.f)(t.findings,n.redact),{quiet:o,pullRequest:l,headSha:d,runKey:m}=e,g=F(a),k=re(s,{purpose:a,title:r,message:i.message}).body,$=k.slice(g.length).trim(),u=t.more===void 0?k:`${k.trimEnd()}

${t.more}`;n.summary.paragraph(u.slice(g.length).trim());let w=(0,E.l)(s),h=[w.notice].filter(_=>_!==""),y=o.check({name:r,sha:d,key:`${m}/${a}`,conclusion:i.passed?"success":"failure",title:i.passed?`${s.length} findings`:`Not passed: ${s.length} findings`,summary:[$,...h].join(`

`),annotations:w.items.flat()});await e.settle(`The check \xAB${r}\xBB`,y)===void 0&&Qt(n,s),l!==void 0&&await e.settle(`The comment \xAB${r}\xBB`,o.comment({pullRequest:l,marker:g,body:u})),t.sarif!==void 0&&await Yt(e,n,{...t,findings:s},t.sarif)}function Qt(e,n){let{items:t,notice:a}=(0,E.m)(n);for(let{level:r,message:i,properties:s}of t)e.annotate(r==="error"?"warning":r,i,s);a!==""&&e.log.info(`Annotations: ${a}`)}async function Yt(e,n,{purpose:t,findings:a},{tool:r,targets:i}){let{facts:s,log:o}=n,l=new Map(i.map(d=>[p(t,d),[]]));for(let d of a){let m=p(t,d.target);l.set(m,[...l.get(m)??[],d])}for(let[d,m]of l){let g=c({tool:{name:r,version:null,link:null},category:d,findings:m});g.notice!==""&&o.info(`Code scanning, ${d}: ${g.notice}`),await e.settle(`The analysis ${d} for code scanning`,e.quiet.sarif({gzip:g.gzip,sha:s.sha,ref:s.ref}))}}function Ke({database:e}){return{kind:"database",name:e.name,version:null}}function He({location:{file:e}},{workspace:n,directory:t}){return e===null?null:(0,O.relative)(n,(0,O.resolve)(t,e))}function Vt(e,n,t){return(0,E.n)(n.map(a=>{let{rule:r,severity:i,migration:s,message:o,remedy:l,location:d}=a,{title:m,link:g}=Se[r],k=He(a,t);return{rule:{id:r,title:m,help:l,link:g,tags:["migration"]},severity:i==="error"?"high":"medium",message:`${o} ${l}`,target:Ke(e),subject:s===""?null:{name:s,version:null,fixedVersion:null,path:null},location:k===null?null:{file:k,startLine:d.line,endLine:d.line},context:o}}))}async function Jt(e){if(e===void 0)return{};let n=await(0,v.e)((0,G.readFile)(e,"utf8"));if(n===void 0)throw new v.a("not_found",`The environment file ${e} does not exist on this host.`,{remedy:"Correct `env-file`. Nothing was migrated."});let t=(0,pe.a)(n);if("problem"in t)throw new v.a("invalid_input",`The environment file ${e}: ${t.problem}.`);return t.values}async function Xt(e,n){let t={};for(let[a,r]of Object.entries(n.environment))r!==void 0&&!/^(?:INPUT_|GITHUB_|ACTIONS_|RUNNER_|STATE_)/.test(a)&&(t[a]=r);return{...t,...await Jt(e["env-file"]),...e.env}}function Zt(e,n,t){if(e.migrator==="django")return It({directory:e.directory,python:e.python,...e.settings===void 0?{}:{settings:e.settings},environment:t,deployment:e.environment,holder:n.facts.runUrl||`process ${process.pid}`,lockWait:e["wait-for-other"],lockTimeout:e["lock-timeout"],statementTimeout:e["statement-timeout"],log:n.log})}function en(e){return(e.target??[]).map(n=>{let[t="",a]=n.split(".");return a===void 0?{app:t}:{app:t,name:a}})}function tn(e){let{file:n,line:t}=e.location;return n===null?e.migration:`${n}${t===null?"":`:${t}`}`}function ze(e){return`${tn(e)} ${e.severity} ${e.rule}: ${e.message} ${e.remedy}`}function nn({plan:e,states:n,backup:t}){let a=(0,I.f)(),{host:r,port:i,name:s}=e.database;if(a.paragraph((0,I.b)(`Database ${s} at ${r}:${i}, plan ${e.hash}`)),e.migrations.length===0)return a.paragraph("Every migration is applied."),a.text();a.table(["Migration","In a transaction","Way back","What it does","State"],e.migrations.map(o=>[(0,I.b)(`${o.app}.${o.name}`),o.atomic?"yes":"no",o.reversible?"yes":"**no**",o.operations.map(l=>(0,I.b)(l.description)).join("<br>"),n.find(l=>l.app===o.app&&l.name===o.name)?.state??"not-applied"]));for(let o of e.migrations)a.details(`SQL of ${o.app}.${o.name}`,o.sql??o.sqlProblem??"");if(a.paragraph(e.reverse.possible?`Way back: ${e.reverse.steps.map(o=>`\`migrate ${o.app} ${o.name}\``).join(", then ")}`:`No way back: ${e.reverse.reasons.map(I.b).join("; ")}`),t!==void 0){let{file:o,bytes:l,tables:d,verified:m,sha256:g}=t;a.table(["Backup","Bytes","Tables","Verified by","SHA-256"],[[(0,I.b)(o),String(l),String(d.length),m,g]])}return a.text()}async function an(e,n,t){let{plan:a}=t;if(a===void 0)return;let r=nn({...t,plan:a}),i=(0,V.a)(n,e["github-token"]),{pullRequest:s}=i;if(t.findings.length===0&&s===void 0&&!e.sarif){n.summary.paragraph(r);return}let{environment:o}=e,l=Vt(a,t.findings,{workspace:n.facts.workspace,directory:e.directory});await Ht({...i,pullRequest:n.deployment===void 0?s:void 0},n,{purpose:`migrate-db-${o}`,title:`Database migration for ${o}`,findings:l,verdict:le(l,e["on-unsafe"]==="fail"?{critical:0,high:0}:{}),more:r,...e.sarif?{sarif:{tool:"migrate-db",targets:[Ke(a)]}}:{}})}function rn(e){let n=a=>e.filter(({state:r})=>r===a).map(({app:r,name:i})=>`${r}.${i}`),t=[["applied",n("applied")],["partly applied",n("partly")],["not applied",n("not-applied")]].filter(([,a])=>a.length>0).map(([a,r])=>`${a}: ${r.join(", ")}`);return t.length===0?"":`${t.join("; ")}.`}function we(e,n,t=[]){let{plan:a,findings:r,backup:i,states:s}=e;return{...n,outputs:{"plan-hash":a?.hash,planned:a?.migrations.length,applied:s.filter(o=>o.state==="applied").length,findings:r.length,reversible:a?.reverse.possible,"backup-file":i?.file,"backup-sha256":i?.sha256},report:{plan:a,findings:r,backup:i,states:s,details:t}}}function on(e,n,t){let a=e["approved-plan"],r=l=>l.replace(/^sha256:/,"");if(a!==void 0&&r(a)!==r(n.hash))return{result:"refused",reasonCode:"plan_changed",message:`The plan is ${n.hash}, but ${a} was approved; nothing was migrated.`,remedy:"Look at the new plan, approve it, and give its hash."};let[i,...s]=t.filter(l=>l.severity==="error");if(i===void 0||e["on-unsafe"]==="warn")return;let o=s.length===0?"":` And ${s.length} more.`;return{result:"refused",reasonCode:"unsafe_migration",message:`The plan is not safe while the old version serves; nothing was migrated. ${ze(i)}${o}`,remedy:"Follow what each finding says, or set `on-unsafe: warn` for a maintenance window."}}async function sn(e,n,t,a,r){let{log:i,signal:s}=n,o=await i.group("Plan",()=>t.plan(s,en(e))),l=t.lint(o);Object.assign(r,{plan:o,findings:l});let d=o.migrations.length;for(let{app:$,name:u}of o.migrations)i.info(`  ${$}.${u}`);for(let $ of l){let u=He($,{workspace:n.facts.workspace,directory:e.directory});(u!==null&&(0,E.e)(u)!==null?i.info:i.warning)(ze($))}let m=on(e,o,l);if(m!==void 0&&!e["dry-run"])return we(r,m);if(e["dry-run"]){let $=m===void 0?"":` It would be refused: ${m.message}`;return we(r,{result:"planned",reasonCode:"dry_run",message:`${d} migrations would be applied, with ${l.length} findings; nothing was written.${$}`})}if(d===0)return await t.verify(o,s),we(r,{result:"unchanged",reasonCode:"already_current",message:"Every migration is applied; there was nothing to do."});let g=await i.group("Apply",()=>t.apply(o,{signal:s,limit:e.timeout,async beforeWrite($){if(e.backup==="none")return;r.backup=await gt({connection:await t.connection($),directory:e["backup-directory"],...e["postgres-bin"]===void 0?{}:{postgresBin:e["postgres-bin"]},environment:a,verify:e.backup,log:i,signal:$});let{file:u,bytes:w,tables:h,verified:y}=r.backup;i.info(`Backup ${u}: ${w} bytes, ${h.length} tables, verified by ${y}.`)}}));r.states=g.states,await t.verify(o,s);let k=r.backup===void 0?"":`; the backup is ${r.backup.file}`;return we(r,{result:"succeeded",reasonCode:"ok",message:`${d} migrations were applied and verified in ${(0,W.b)(g.elapsed)}${k}.`})}async function ln(e,n,t,a){let r=Zt(e,n,t);try{return await sn(e,n,r,t,a)}catch(i){if(!(i instanceof ye))throw i;a.states=i.states;for(let{app:s,name:o,state:l,detail:d}of a.states)n.log.info(`  ${s}.${o}: ${l}${d===void 0?"":` (${d})`}`);return we(a,{result:i.reasonCode==="cancelled"?"cancelled":"failed",reasonCode:i.reasonCode,message:`${i.message} ${rn(a.states)}`,remedy:i.remedy},i.details)}finally{await r.close()}}async function dn(e,n){let t=await Xt(e,n);for(let i of(0,pe.b)(t))n.mask(i);let a={findings:[],states:[]},r=await ln(e,n,t,a);return await an(e,n,a),r}})};export{mn as id,fn as ids,hn as modules};
