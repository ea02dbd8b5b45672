const Wt=4455,Ft=[4455],Gt={9581:((Ee,me,h)=>{h.d(me,{a:()=>z});var B=h(1176),ue=h(8041),ce=h(5017),se=h(8226),J=h(6626),W=h(7407),ae=h(8522),M={results:5e3,gzipBytes:1e7,runs:20,tags:10,description:1024,message:4096,help:16384};function F(p,{kind:x,name:y}){return`${p}/${x}/${y}`}function Z(p,x={}){let{results:y,gzipBytes:N}={...M,...x},T=(0,se.a)(p.findings),E=Math.min(T.length,y);for(;;){let v=(0,se.b)(T,E),H=(0,se.c)(v,T.length),ie=JSON.stringify(R(p,T.slice(0,E),H)),ee=I([ie]),G=(0,ae.gzipSync)(ee);if(G.length<=N||E===0)return{category:p.category,text:ee,gzip:G,run:ie,cut:v,notice:H};E=Math.min(E-1,Math.floor(E*N/G.length*.97))}}function X(p,x={}){let{runs:y,gzipBytes:N}={...M,...x},T=[];for(let E of p){let v=T.at(-1);v!==void 0&&v.bytes+E.gzip.length<=N*.9&&v.files.length<y?(v.files.push(E),v.bytes+=E.gzip.length):T.push({files:[E],bytes:E.gzip.length})}return T.map(({files:E})=>{let[v]=E;return{categories:E.map(({category:H})=>H),gzip:E.length===1&&v!==void 0?v.gzip:(0,ae.gzipSync)(I(E.map(({run:H})=>H)))}})}function I(p){return`{"$schema":${JSON.stringify("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")},"version":"2.1.0","runs":[${p.join(",")}]}`}function R({tool:p,category:x},y,N){let T=new Map,E=y.map(v=>{let H=T.get(v.rule.id);return H===void 0&&(H={descriptor:A(v),index:T.size},T.set(v.rule.id,H)),O(v,H.index)});return{tool:{driver:{name:b(p.name,255,"deploy-actions"),...p.version===null?{}:{version:b(p.version,255,"0")},...(0,J.i)(p.link)?{informationUri:p.link}:{},rules:Array.from(T.values(),({descriptor:v})=>v)}},automationDetails:{id:`${(0,W.a)(x)}/`},invocations:[{executionSuccessful:!0,...N===""?{}:{toolExecutionNotifications:[{descriptor:{id:"findings-cut"},level:"warning",message:{text:N}}]}}],originalUriBaseIds:{[Y]:{description:{text:"The root of the repository."}}},columnKind:"utf16CodeUnits",results:E}}var Y="%SRCROOT%",g={critical:"error",high:"error",medium:"warning",low:"note",unknown:"note"},ge={critical:"9.5",high:"8.0",medium:"5.5",low:"2.0",unknown:"0.0"},P={error:"error",warning:"warning",note:"recommendation"};function A({rule:p,severity:x}){let y=b(p.title,M.description,p.id),N=b(p.help,M.help,y),T=(0,J.i)(p.link)?p.link:null,E=[...new Set(p.tags.map(W.a))].slice(0,M.tags);return{id:(0,W.a)(p.id),shortDescription:{text:y},fullDescription:{text:(0,se.e)(N,M.description)},...T===null?{}:{helpUri:T},help:{text:T===null?N:`${N}
${T}`,markdown:T===null?(0,W.c)(N):`${(0,W.c)(N)}

<${T}>`},defaultConfiguration:{level:g[x]},properties:{tags:E,precision:"very-high",...p.tags.includes("security")?{"security-severity":ge[x]}:{"problem.severity":P[g[x]]}}}}function O(p,x){let{rule:y,severity:N,target:T,location:E,fingerprint:v,known:H}=p,ie=E===null?null:(0,J.g)(E.file),{start:ee,end:G}=E===null||ie===null?{start:1,end:1}:(0,J.h)(E);return{ruleId:(0,W.a)(y.id),ruleIndex:x,level:g[N],message:{text:L(b(p.message,M.message,b(y.title,1024,y.id)))},locations:[{physicalLocation:{artifactLocation:{uri:j(ie??T.name),uriBaseId:Y},region:{startLine:ee,endLine:G}}}],partialFingerprints:{primaryLocationLineHash:v},...H===null?{}:{baselineState:H?"unchanged":"new"}}}function b(p,x,y){let N=(0,se.e)((0,W.a)(p).trim(),x);return N===""?(0,W.a)(y):N}function L(p){return p.replaceAll("](","] (")}function j(p){let x=p.toWellFormed().split("/").filter(y=>!["",".",".."].includes(y));return x.length===0?"unnamed":x.map(encodeURIComponent).join("/")}function z(p,x,y){let N=(0,B.d)(y.purpose);return(0,B.c)(x,y.title,()=>K(p,x,{...y,purpose:N}))}async function K(p,x,y){let{purpose:N,title:T,verdict:E}=y,v=(0,ue.g)(y.findings,x.redact),{quiet:H,pullRequest:ie,headSha:ee,runKey:G}=p,fe=(0,B.a)(N),q=(0,B.b)(v,{purpose:N,title:T,message:E.message}).body,te=q.slice(fe.length).trim(),_e=y.more===void 0?q:`${q.trimEnd()}

${y.more}`;x.summary.paragraph(_e.slice(fe.length).trim());let he=(0,ce.a)(v),ke=[he.notice].filter($e=>$e!==""),xe=H.check({name:T,sha:ee,key:`${G}/${N}`,conclusion:E.passed?"success":"failure",title:E.passed?`${v.length} findings`:`Not passed: ${v.length} findings`,summary:[te,...ke].join(`

`),annotations:he.items.flat()});await p.settle(`The check \xAB${T}\xBB`,xe)===void 0&&le(x,v),ie!==void 0&&await p.settle(`The comment \xAB${T}\xBB`,H.comment({pullRequest:ie,marker:fe,body:_e})),y.sarif!==void 0&&await we(p,x,{...y,findings:v},y.sarif)}function le(p,x){let{items:y,notice:N}=(0,ce.b)(x);for(let{level:T,message:E,properties:v}of y)p.annotate(T==="error"?"warning":T,E,v);N!==""&&p.log.info(`Annotations: ${N}`)}async function we(p,x,{purpose:y,findings:N},{tool:T,targets:E,files:v}){let{facts:H,log:ie}=x,ee=new Map([...E,...v===void 0?[]:[v]].map(q=>[F(y,q),[]]));for(let q of N){let te=v!==void 0&&q.location!==null?v:q.target,_e=F(y,te),he=ee.get(_e);he===void 0?ee.set(_e,[q]):he.push(q)}let G=Array.from(ee,([q,te])=>Z({tool:{name:T,version:null,link:null},category:q,findings:te}));for(let{category:q,notice:te}of G)te!==""&&ie.info(`Code scanning, ${q}: ${te}`);let fe=X(G).map(({categories:q,gzip:te})=>({what:q.length===1?`The analysis ${q[0]??""} for code scanning`:`The analyses for code scanning of ${q[0]??""} and ${q.length-1} more`,sent:p.quiet.sarif({gzip:te,sha:H.sha,ref:H.ref})}));for(let{what:q,sent:te}of fe)await p.settle(q,te)}}),2590:((Ee,me,h)=>{h.d(me,{a:()=>ce,b:()=>J});var B=h(6626),ue=h(7801);function ce(W,ae,M={}){let F=(0,B.c)(),Z=(0,B.c)();for(let I of W){let R=M.onlyNew===!0&&I.known===!0;(R?Z:F)[I.severity]+=1}let X=B.a.flatMap(I=>{let R=ae[I];return R!==void 0&&F[I]>R?[{severity:I,count:F[I],limit:R}]:[]});return{passed:X.length===0,counts:F,known:Z,exceeded:X,message:se(F,Z,ae,M.onlyNew===!0)}}function se(W,ae,M,F){let Z=B.a.filter(P=>M[P]!==void 0),X=Z.filter(P=>W[P]>M[P]),I=`${F?"new findings":"findings"}: ${(0,B.e)(W)}`,R=P=>`${W[P]} ${P} where ${M[P]} ${M[P]===1?"is":"are"} allowed`,Y=Z.length===0?"no limit is set":`allowed: ${Z.map(P=>`${M[P]} ${P}`).join(", ")}`,g=X.length>0?`Too many ${F?"new ":""}findings: ${X.map(R).join(", ")}. All ${I}.`:`Within the limits; ${I} (${Y}).`,ge=(0,B.e)(ae);return ge==="none"?g:`${g} Known before and not counted: ${ge}.`}function J(W,ae){let M={};if(W.trim()==="none")return M;let F=[],Z=W.split(/[,\n]/).map(X=>X.trim());for(let X of Z.filter(I=>I!=="")){let[,I="",R=""]=/^([a-z]+)\s*[:=]\s*(\d{1,9})$/i.exec(X)??[],Y=B.a.find(g=>g===I.toLowerCase());Y===void 0?F.push(`'${X}' is not a severity and a whole number`):M[Y]!==void 0?F.push(`${Y} is said twice`):M[Y]=Number(R)}if(F.length===0&&Object.keys(M).length===0&&F.push("it is empty"),F.length>0)throw new ue.a("invalid_input",`${ae}: ${F.join("; ")}.`,{remedy:`Write it like 'critical: 0, high: 5', with ${B.a.join(", ")}; or 'none' for no limit.`});return M}}),5017:((Ee,me,h)=>{h.d(me,{a:()=>ae,b:()=>M,c:()=>I,d:()=>R});var B=h(8226),ue=h(6626),ce=h(7407),se=h(1320),J={batch:50,total:500,title:255,messageBytes:64*1024,commandsPerLevel:10},W={critical:"failure",high:"failure",medium:"warning",low:"notice",unknown:"notice"};function ae(A,O=J.total){let{placed:b,elsewhere:L}=F(A),j=b.slice(0,O).map(Z),z=[];for(let K=0;K<j.length;K+=J.batch)z.push(j.slice(K,K+J.batch));return{items:z,elsewhere:L,...X(b,j.length)}}function M(A){let{placed:O,elsewhere:b}=F(A),L={failure:0,warning:0,notice:0},j=[],z=[];for(let K of O){let le=W[K.finding.severity];L[le]+=1,(L[le]<=J.commandsPerLevel?j:z).push(K)}return{items:j.map(K=>{let{path:le,start_line:we,end_line:p,annotation_level:x,title:y,message:N}=Z(K);return{level:x==="failure"?"error":x,message:N,properties:{file:le,startLine:we,endLine:p,title:y}}}),elsewhere:b,...X([...j,...z],j.length)}}function F(A){let O=(0,B.a)(A).flatMap(b=>{let L=b.location===null?null:(0,ue.g)(b.location.file);return L===null?[]:[{finding:b,path:L,lines:(0,ue.h)(b.location)}]});return{placed:O,elsewhere:A.length-O.length}}function Z({finding:A,path:O,lines:b}){let{rule:L,severity:j}=A,z=(0,B.f)((0,ce.a)([L.help,L.link??""].join(`
`).trim()),J.messageBytes);return{path:(0,ce.a)(O),start_line:b.start,end_line:b.end,annotation_level:W[j],title:(0,B.e)((0,ce.a)(`${j} ${L.id}: ${L.title}`).replaceAll(`
`," "),J.title),message:(0,B.f)((0,ce.a)(A.message.trim()||L.title.trim()||L.id),J.messageBytes),...z===""?{}:{raw_details:z}}}function X(A,O){let b=(0,B.b)(A.map(({finding:L})=>L),O);return{cut:b,notice:(0,B.c)(b,A.length)}}function I(A){let O=new Map;for(let[L,j]of A.entries()){let z=Y(j),K=O.get(z);K===void 0?O.set(z,[{draft:j,index:L}]):K.push({draft:j,index:L})}let b=[];for(let[L,j]of O){j.sort((z,K)=>P(z.draft,K.draft));for(let[z,{draft:K,index:le}]of j.entries())b[le]={...K,fingerprint:`${L}:${z+1}`,known:null}}return b}function R(A,O){return A.map(b=>({...b,known:O.has(b.fingerprint)}))}function Y({rule:A,target:O,subject:b,location:L,context:j}){let z=[A.id,O.kind,O.name,b?.name??null,b===null?null:g(b),L?.file??null,j===null?null:ge(j)];return(0,se.b)(z).slice(7,39)}function g({path:A,version:O}){if(A===null)return null;let b=RegExp.escape(O??"");return(b===""?A:A.replace(new RegExp(`(?<![\\d.])${b}(?!\\d)`,"g"),"")).replace(/\bpython3\.\d+\//g,"python3/")}function ge(A){return A.normalize("NFC").replace(/\s+/g," ").trim()}function P(A,O){return(A.location?.startLine??0)-(O.location?.startLine??0)||(0,B.d)(A.subject?.version??"",O.subject?.version??"")||(0,B.d)(A.message,O.message)}}),4455:((Ee,me,h)=>{h.r(me),h.d(me,{run:()=>It});var B=h(9581),ue=h(2590),ce=h(1176),se=h(3347),J=h(8041),W=h(9891),ae=h(5017),M=h(8226),F=h(6626),Z=h(5458),X=h(3029),I=h(7407),R=h(9621),Y=h(1320),g=h(7801),ge=h(2199),P=h(1455),A=h(1421),O=h(7598),b=h(3024),L=h(6760),j=h(481),z={ok:"The action did what was asked.",already_current:"What was asked for was already so; nothing was written.",dry_run:"Only the plan was made, because `dry-run` is true.",invalid_input:"One or more inputs are missing or not allowed; nothing was touched.",invalid_config:"deploy.yml cannot be read or says something that is not allowed; nothing was touched.",unsupported:"The platform or router does not have a capability that was asked for.",not_found:"A file, program, release or service that was named does not exist.",version_not_found:"The release to go back to does not exist or is no longer kept.",permission_denied:"A right that is needed is missing.",unreachable:"A host, socket or API could not be reached.",lock_held:"Another run holds the lease of this environment.",lock_lost:"The lease was taken over by another run; this run wrote nothing after that.",environment_frozen:"The environment is frozen; nothing was written.",state_conflict:"What is there changed while it was being read, and the intent no longer held.",state_too_new:"The state was written by a newer version of the suite.",state_corrupt:"The stored state cannot be read.",checks_not_green:"A check that the commit has to pass failed, or was not there in time; nothing was touched.",tool_rejected:"A program that was downloaded is not the one that was asked for; it was not run.",build_failed:"An image could not be built; the report has the last lines of the step that failed.",image_unverified:"An image at a registry is not what its digest says, or a platform of it is not there.",image_not_scanned:"An image was to be released of which there is no verdict of a scan.",tag_immutable:"A tag of a release points at another image, and tags of releases do not move; no tag of the release was set.",registry_rejected:"A registry did not take what was written to it.",scan_failed:"A scan could not run to its end, so there is no verdict.",findings_over_limit:"A scan found more than its limits allow.",start_failed:"The new version could not be started or ended by itself.",not_ready:"The new version did not become ready in time.",unhealthy:"A health check did not pass in time.",router_rejected:"The router refused the new configuration.",router_unverified:"The router was written to, but the data plane did not follow in time.",drain_timeout:"Requests were still in flight when the time to drain was over.",limit_exceeded:"A metric was beyond its limit.",insufficient_data:"There were too few requests, or no usable data, to reach a verdict.",metrics_unavailable:"The metric source failed or answered nonsense.",migration_failed:"A migration failed; the report says what was applied.",migration_locked:"Another migration is running, or a table lock could not be had in time.",unsafe_migration:"A migration would break the version that serves, lose data or block a table.",plan_changed:"The plan is not the one that was approved.",backup_failed:"The backup could not be made or verified; nothing was migrated.",partly_applied:"An object was refused after others had been written; the report lists both.",verify_failed:"The state after the change is not what the plan said.",resumed:"An unfinished release of an earlier run was found and finished.",reverted:"The release was taken back; the previous version serves.",revert_failed:"The release could not be taken back completely; the report says what is left.",unfinished_release:"An unfinished release of another version has to be settled first.",cancelled:"The run was cancelled.",timeout:"The time allowed was over.",command_failed:"A command ended with an error.",internal:"An error of the suite itself; please report it."},K=class extends g.a{states;constructor(e,n,t){super(e,n,t),this.name="MigrationError",this.states=t.states}},le={"drop-table":{severity:"error",title:"A table is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/sql-droptable.html"},"drop-column":{severity:"error",title:"A column is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"drop-database":{severity:"error",title:"A database or schema is dropped",remedy:"Do not drop a database or schema in a migration.",link:"https://www.postgresql.org/docs/current/sql-dropschema.html"},rename:{severity:"error",title:"A name that old code uses is changed",remedy:"Add the new name, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"add-not-null":{severity:"error",title:"A column is added that old code does not fill",remedy:"Add it nullable, or with a default of the database (db_default), which Django keeps.",link:"https://docs.djangoproject.com/en/stable/ref/models/fields/#db-default"},"set-not-null":{severity:"error",title:"A column becomes NOT NULL under a lock",remedy:"Add CHECK (\u2026 IS NOT NULL) NOT VALID, VALIDATE it in another migration, then set NOT NULL.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"change-type":{severity:"error",title:"The type of a column is changed",remedy:"Add a new column, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"index-blocks":{severity:"error",title:"Building or dropping an index blocks writes",remedy:"Use AddIndexConcurrently or RemoveIndexConcurrently in a migration with atomic = False.",link:"https://docs.djangoproject.com/en/stable/ref/contrib/postgres/operations/#concurrent-index-operations"},"constraint-blocks":{severity:"error",title:"Adding a constraint blocks writes",remedy:"Build a unique index concurrently and add the constraint USING INDEX; add others NOT VALID and VALIDATE later.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"concurrently-in-transaction":{severity:"error",title:"CONCURRENTLY stands in a transaction",remedy:"Set atomic = False in the migration.",link:"https://docs.djangoproject.com/en/stable/howto/writing-migrations/#non-atomic-migrations"},truncate:{severity:"error",title:"A table is emptied",remedy:"Empty a table outside of a release, after a backup.",link:"https://www.postgresql.org/docs/current/sql-truncate.html"},cascade:{severity:"error",title:"CASCADE drops what depends on it",remedy:"Drop what depends on it by name, so that nothing else goes with it.",link:"https://www.postgresql.org/docs/current/ddl-depend.html"},"irreversible-code":{severity:"warning",title:"Code has no way back",remedy:"Give RunPython a reverse_code; RunPython.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runpython"},"irreversible-sql":{severity:"warning",title:"SQL has no way back",remedy:"Give RunSQL a reverse_sql; RunSQL.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runsql"},irreversible:{severity:"warning",title:"An operation has no way back",remedy:"Make the operation reversible, or be sure to have a backup.",link:"https://docs.djangoproject.com/en/stable/topics/migrations/#reversing-migrations"},"unknown-sql":{severity:"warning",title:"SQL that is not known is not checked",remedy:"Apply what comes before it first, and plan again to see its SQL.",link:"https://docs.djangoproject.com/en/stable/ref/django-admin/#sqlmigrate"},"invalid-index":{severity:"warning",title:"An index is left invalid",remedy:"Drop it with DROP INDEX CONCURRENTLY and build it again.",link:"https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"}},we=/\s+/y,p=/--[^\n]*/y,x=/[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y,y=/(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y,N=/(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y,T=/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y,E=/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;function v(e){let n=[],t=[],a=0,r=0,i=o=>{o.lastIndex=r;let l=o.exec(e)?.[0];return l!==void 0&&(r+=l.length),l},s=(o,l)=>t.push({kind:o,text:l,depth:a});for(;r<e.length;){if(i(we)!==void 0||i(p)!==void 0)continue;if(e.startsWith("/*",r)){r=H(e,r);continue}let o=i(x)??i(y);if(o!==void 0){s("string",o);continue}let l=i(N);if(l!==void 0){s("name",l.slice(l.indexOf('"')+1,-1).replaceAll('""','"'));continue}let u=i(T);if(u!==void 0){let S=e.indexOf(u,r),$=S<0?e.length:S+u.length;s("string",e.slice(r-u.length,$)),r=$;continue}let f=i(E);if(f!==void 0){s("word",f.toLowerCase());continue}let C=String.fromCodePoint(e.codePointAt(r)??0);if(r+=C.length,C===";"&&a===0&&!ie(t)){n.push(t),t=[];continue}C===")"&&(a=Math.max(0,a-1)),s("symbol",C),C==="("&&(a+=1)}return n.push(t),n.filter(o=>o.length>0)}function H(e,n){let t=/\/\*|\*\//g;t.lastIndex=n;let a=0;for(let r=t.exec(e);r!==null;r=t.exec(e))if(a+=r[0]==="/*"?1:-1,a===0)return t.lastIndex;return e.length}function ie(e){if(e[0]?.text!=="create")return!1;let n=e.filter(a=>a.kind==="word").map(a=>a.text),t=n.findIndex((a,r)=>a==="begin"&&n[r+1]==="atomic");return t<0?!1:n.slice(t).filter(a=>a==="begin"||a==="case").length>n.slice(t).filter(a=>a==="end").length}var ee=class{tokens;position=0;constructor(e){this.tokens=e}accept(...e){let n=e.every((t,a)=>{let r=this.tokens[this.position+a];return r?.kind==="word"&&r.text===t});return n&&(this.position+=e.length),n}acceptSymbol(e){let n=this.tokens[this.position];return n?.kind!=="symbol"||n.text!==e?!1:(this.position+=1,!0)}name(){let e=[this.identifier()];for(;this.acceptSymbol(".");)e.push(this.identifier());return(e[0]==="public"&&e.length>1?e.slice(1):e).join(".")}identifier(){let e=this.tokens[this.position];return e===void 0||e.kind!=="word"&&e.kind!=="name"?"":(this.position+=1,e.text)}peek(){return this.tokens[this.position]?.text??""}rest(){return this.tokens.slice(this.position)}};function G(e,...n){let t=e[0]?.depth??0,a=e.filter(r=>r.depth===t);return a.some((r,i)=>n.every((s,o)=>{let l=a[i+o];return l?.kind==="word"&&l.text===s}))}function fe(e){let n=e[0]?.depth??0,t=[[]];for(let a of e)a.kind==="symbol"&&a.text===","&&a.depth===n?t.push([]):t.at(-1)?.push(a);return t}function q(e){let n=new Set,t=e.migrations.flatMap(r=>_e(r,n)),a=e.invalidIndexes.map(r=>te("invalid-index","",null,null,`The index ${r} is invalid: an earlier concurrent build failed.`));return[...t,...a]}function te(e,n,t,a,r){let{severity:i,remedy:s}=le[e];return{rule:e,severity:i,migration:n,message:r,remedy:s,location:{file:t,line:a}}}function _e(e,n){let t=[],a=i=>(s,o)=>t.push(te(s,`${e.app}.${e.name}`,e.file,i,o)),r=new Map;for(let i of e.operations){let s=a(i.line);if(!i.reversible){let o=i.kind==="RunPython"?"irreversible-code":i.kind==="RunSQL"?"irreversible-sql":"irreversible";s(o,`${i.kind} cannot be taken back: ${i.description}.`)}for(let o of v(i.sql))he(o,{migration:e,operation:i,made:n,added:r,report:s})}for(let i of v(e.deferredSql))he(i,{migration:e,operation:null,made:n,added:r,report:a(null)});for(let{column:i,table:s,hasDefault:o,report:l}of r.values())o||l("add-not-null",`Column ${i} of ${s} is added NOT NULL and keeps no default: INSERTs of old code fail.`);return e.sql===null&&a(null)("unknown-sql",`Its SQL is not known and not checked: ${e.sqlProblem??""}`),t}function he(e,n){let{migration:t,made:a,report:r}=n,i=new ee(e);t.atomic&&ke(e)&&r("concurrently-in-transaction","CONCURRENTLY fails inside the transaction of the migration."),i.accept("create")?xe(i,a,r):i.accept("alter","table")?Fe(i,n):i.accept("alter")?We(i,r):i.accept("drop")?$e(i,a,r):i.accept("truncate")?(i.accept("table"),i.accept("only"),r("truncate",`TRUNCATE empties ${i.name()}.`)):i.accept("reindex")&&!ke(e)&&r("index-blocks","REINDEX without CONCURRENTLY blocks reads and writes.")}function ke(e){let n=e.slice(0,6).filter(t=>t.kind==="word"&&t.depth===0);return["create","drop","reindex","refresh"].includes(n[0]?.text??"")&&n.some(t=>t.text==="concurrently")}function xe(e,n,t){for(let s of["global","local","temporary","temp","unlogged","unique"])e.accept(s);if(e.accept("table")){e.accept("if","not","exists"),n.add(e.name());return}if(!e.accept("index"))return;let a=e.accept("concurrently");e.accept("if","not","exists");let r=e.peek()==="on"?"An index":`Index ${e.name()}`;e.accept("on"),e.accept("only");let i=e.name();!a&&!n.has(i)&&t("index-blocks",`${r} on ${i} is built without CONCURRENTLY: writes wait until it is done.`)}function $e(e,n,t){let a=G(e.rest(),"cascade");if(e.accept("database")||e.accept("schema")){e.accept("if","exists"),t("drop-database",`${e.name()} is dropped with all that is in it.`);return}if(e.accept("table")||e.accept("view")||e.accept("materialized","view")){e.accept("if","exists");for(let r of fe(e.rest())){let i=new ee(r).name();n.has(i)||t("drop-table",`${i} is dropped: old code still reads it, and its data is gone.`)}return}!e.accept("index","concurrently")&&e.accept("index")&&(e.accept("if","exists"),t("index-blocks",`Index ${e.name()} is dropped without CONCURRENTLY: reads and writes wait for its lock.`)),a&&t("cascade","CASCADE also drops whatever depends on it.")}function We(e,n){let t=e.peek(),a=e.rest();["type","view","materialized","domain","schema"].includes(t)&&G(a,"rename")&&!G(a,"rename","constraint")&&n("rename",`ALTER ${t.toUpperCase()} renames: one of two live versions does not know the name.`)}function Fe(e,n){let{made:t}=n;e.accept("if","exists"),e.accept("only");let a=e.name();if(e.acceptSymbol("*"),t.has(a)){e.accept("rename","to")&&t.add(e.name());return}for(let r of fe(e.rest()))He(new ee(r),a,n)}var Ge=["constraint","primary","unique","foreign","check","exclude"],Ke=["serial","bigserial","smallserial","serial4","serial8","serial2"];function He(e,n,t){let{report:a,added:r}=t;if(e.accept("rename")){if(e.accept("constraint"))return;let o=e.accept("to")?n:(e.accept("column"),`column ${e.name()} of ${n}`);a("rename",`${Ve(o)} is renamed: one of two live versions does not know the name.`);return}if(e.accept("drop")){if(e.accept("constraint")){G(e.rest(),"cascade")&&a("cascade","CASCADE also drops whatever depends on it.");return}e.accept("column"),e.accept("if","exists"),a("drop-column",`Column ${e.name()} of ${n} is dropped: old code still names it, and its data is gone.`);return}if(e.accept("add")){Ge.includes(e.peek())?Xe(e.rest(),n,a):ze(e,n,t);return}if(!e.accept("alter")||e.peek()==="constraint")return;e.accept("column");let i=e.name(),s=r.get(`${n}.${i}`);if(e.accept("set","not","null"))a("set-not-null",`Column ${i} of ${n} becomes NOT NULL: the table is scanned under an exclusive lock, and NULLs of old code fail.`);else if(e.accept("drop","default"))s!==void 0&&(s.hasDefault=!1);else if(e.accept("set","default"))s!==void 0&&(s.hasDefault=!0);else if(e.accept("type")||e.accept("set","data","type")){let o=t.operation?.alters,l=o?.table===n&&o.column===i?o:void 0;if(l!==void 0&&Qe(l.from,l.to))return;let u=l===void 0?"":` from ${l.from} to ${l.to}`;a("change-type",`Column ${i} of ${n} changes its type${u}: the table may be rewritten under an exclusive lock.`)}}function ze(e,n,t){e.accept("column"),e.accept("if","not","exists");let a=e.name(),r=e.rest();if((G(r,"unique")||G(r,"primary","key"))&&t.report("constraint-blocks",`Column ${a} of ${n} is added with a unique index, which blocks the table while it is built.`),!G(r,"not","null")&&!G(r,"primary","key"))return;let i=r[0]?.text??"",s=G(r,"default")||G(r,"generated")||Ke.includes(i);t.added.set(`${n}.${a}`,{column:a,table:n,hasDefault:s,report:t.report})}function Xe(e,n,t){let a=new ee(e),r=a.accept("constraint")?`Constraint ${a.name()}`:"A constraint",i=a.rest();G(i,"using","index")||(["unique","primary","exclude"].includes(a.peek())?t("constraint-blocks",`${r} on ${n} builds its index while the table is blocked, and duplicates of old code fail.`):["foreign","check"].includes(a.peek())&&!G(i,"not","valid")&&t("constraint-blocks",`${r} on ${n} is checked against every row while the table is locked.`))}function Qe(e,n){let t=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(e),a=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(n);return t===null?!1:n==="text"||n==="varchar"?t[1]!=="numeric":a===null||t[1]==="numeric"!=(a[1]==="numeric")?!1:Number(a[2])>=Number(t[2])&&(a[3]??"0")===(t[3]??"0")}function Ve(e){return e.startsWith("column")?`C${e.slice(1)}`:`Table ${e}`}function Le(e=262144){let n="";return{add:t=>{n=(n+t).slice(-e)},text:()=>n}}function Te(e,n=15){return e.trimEnd().split(`
`).slice(-n).filter(Boolean)}function be(e,n){let t=e.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g,"$1:***@");for(let a of n)a!==""&&(t=t.replaceAll(a,"***"));return t}var Ye=64*2**20,Ae=`
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`,De=`SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  ${Ae} ORDER BY 1 \\gexec
`;async function Ze(e){let n=(0,R.c)(e.limit??36e5),t=[e.connection.PGPASSWORD??""],a={...e.environment,...e.connection,LC_MESSAGES:"C"},r=await et(e),i=c=>{e.log.progress({what:c,elapsed:n.elapsed(),remaining:n.remaining()})};async function s(c,m,_,k){let D=await(0,W.b)({command:[r[c],...m],env:k===void 0?a:{...a,PGDATABASE:k},..._===void 0?{}:{input:_},signal:e.signal,timeout:Math.max(1,n.remaining()),keep:Ye});if(D.code===0)return D.stdout;let Q=Te(be(D.stderr,t));throw oe(`${c} ended with ${D.signal??`code ${D.code}`}: ${Q.at(-1)??"no message"}`,{details:Q})}let o=async(c,m)=>(await s("psql",["-XAtq","-v","ON_ERROR_STOP=1","-f","-"],c,m)).trimEnd();i("reading the size of the database");let[l="",u="",f=""]=(await o(`SELECT current_setting('server_version_num'), coalesce(sum(pg_table_size(c.oid)), 0), current_database()
      ${Ae}`)).split("|");await tt(await s("pg_dump",["--version"]),Number(l)),await(0,P.mkdir)(e.directory,{recursive:!0}),await nt(e.directory,e.requiredBytes??Number(u));let C=e.name??`${it(f)}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g,"")}.dump`,S=(0,L.join)(e.directory,C),$=`${S}.partial`,d=await at(r.psql,a,t,e.signal);try{await(await(0,P.open)($,"wx",384)).close(),i("dumping the database"),await s("pg_dump",["-Fc","--no-password","--lock-wait-timeout=30s",`--snapshot=${d.id}`,"-f",$]);let{size:c}=await(0,P.stat)($);if(c===0)throw oe("pg_dump wrote an empty file.");i("verifying the dump");let m=Se(await d.query(`SELECT n.nspname || ' ' || c.relname ${Ae} ORDER BY 1;
`)),_=await s("pg_restore",["--list",$]),k=m.filter(U=>!_.includes(` TABLE DATA ${U} `));if(k.length>0)throw oe(`The dump lacks the tables ${k.join(", ")}.`);await s("pg_restore",["--file=/dev/null",$]);let D=null;if(e.verify==="restore"){i("restoring the dump into a scratch database");let U=Ce(await d.query(De));D=await w($,`deploy_actions_verify_${(0,O.randomBytes)(6).toString("hex")}`);let re=Object.keys(U).filter(pe=>U[pe]!==D?.[pe]);if(re.length>0){let pe=re.map(de=>`${de} (${U[de]} rows, restored ${D?.[de]??"none"})`);throw oe(`The restored dump differs: ${pe.join(", ")}.`)}}let Q=await rt($);await(0,P.rename)($,S);let V=m.map(U=>U.replace(" ","."));return{file:S,bytes:c,sha256:Q,tables:V,rows:D,verified:e.verify,elapsed:n.elapsed()}}catch(c){throw await(0,P.rm)($,{force:!0}),Je(c,n.total)}finally{await d.release()}async function w(c,m){try{await o(`SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', '${m}',
           pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database() \\gexec
`)}catch(_){throw oe(`No scratch database can be made to restore into: ${(0,g.c)(_)}`,{remedy:"Give the database user CREATEDB, or verify the dump without restoring it.",cause:_})}try{return await s("pg_restore",["--no-owner","--no-privileges","--exit-on-error","-d",m,c]),Ce(await o(De,m))}finally{await(0,W.b)({command:[r.psql,"-XAtqc",`DROP DATABASE IF EXISTS ${m}`],env:a,signal:new AbortController().signal,timeout:15e3}).then(({code:_})=>{_!==0&&e.log.warning(`The scratch database ${m} could not be dropped; drop it by hand.`)},_=>e.log.warning(`The scratch database ${m} is left: ${(0,g.c)(_)}`))}}}function oe(e,n={}){return new g.a("backup_failed",`${e} Nothing was migrated.`,n)}function Je(e,n){return e instanceof g.a?e.reasonCode==="timeout"?oe(`The backup did not end within ${(0,R.b)(n)}.`,{cause:e}):e:oe((0,g.c)(e),{cause:e})}async function et(e){let n=e.postgresBin===void 0?(e.environment.PATH??"").split(L.delimiter).filter(Boolean):[e.postgresBin],t=async a=>{for(let r of n){let i=(0,L.join)(r,a);if(await(0,P.access)(i,P.constants.X_OK).then(()=>!0,()=>!1))return i}throw oe(`${a} is not ${e.postgresBin===void 0?"on PATH":`in ${e.postgresBin}`}.`,{remedy:"Install the client programs of PostgreSQL, of the server\u2019s version or later, or name their folder."})};return{pg_dump:await t("pg_dump"),pg_restore:await t("pg_restore"),psql:await t("psql")}}async function tt(e,n){let t=Number(/\(PostgreSQL\) (\d+)/.exec(e)?.[1]),a=Math.floor(n/1e4);if(!(t>=a))throw oe(`pg_dump is version ${t||e.trim()}, older than the server, version ${a}: it refuses to dump.`,{remedy:`Install the client programs of PostgreSQL ${a} or later, or name their folder.`})}async function nt(e,n){let{bavail:t,bsize:a}=await(0,P.statfs)(e),r=t*a;if(!(r>=n))throw oe(`${e} has ${Pe(r)} free; the dump may take ${Pe(n)}.`,{remedy:"Free some space, or name another folder for the backup."})}async function at(e,n,t,a){let r=(0,A.spawn)(e,["-XAtq","-v","ON_ERROR_STOP=1"],{env:n,stdio:"pipe"}),i=Le();r.stderr.setEncoding("utf8").on("data",i.add),r.stdin.on("error",()=>{});let s=(0,j.createInterface)({input:r.stdout}),o=Promise.withResolvers();o.promise.catch(()=>{});let l=new Promise(C=>{r.on("error",S=>o.reject(oe((0,g.c)(S),{cause:S}))),r.on("close",()=>{let S=Te(be(i.text(),t)).at(-1)??"it ended";o.reject(a.aborted?(0,g.b)("dumping the database"):oe(`psql lost its snapshot: ${S}`)),C()})}),u=()=>{r.kill("SIGTERM")};a.addEventListener("abort",u);async function f(C){let S=`end-${(0,O.randomBytes)(8).toString("hex")}`,$=[],d=Promise.withResolvers(),w=c=>{c===S?d.resolve($.join(`
`)):$.push(c)};s.on("line",w),r.stdin.write(`${C}\\echo ${S}
`);try{return await Promise.race([d.promise,o.promise])}finally{s.off("line",w)}}return{id:await f(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();
`),query:f,release:async()=>{a.removeEventListener("abort",u),r.stdin.end(),await l}}}function Ce(e){return Object.fromEntries(Se(e).map(n=>{let t=n.lastIndexOf("|");return[n.slice(0,t),Number(n.slice(t+1))]}))}function Se(e){return e.split(`
`).filter(Boolean)}async function rt(e){let n=(0,O.createHash)("sha256");for await(let t of(0,b.createReadStream)(e))n.update(t);return n.digest("hex")}function it(e){return e.replaceAll(/[^\w.-]/g,"_")}function Pe(e){return`${(e/2**20).toFixed(1)} MiB`}function ot(){return`"""Answers about, and runs, the migrations of a Django project, from inside the project's own Python.

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
`}function st(e){let n=Buffer.byteLength(e);return["-c",["import os","program = b''",`while len(program) < ${n}:`,`    part = os.read(0, ${n} - len(program))`,"    if not part: os._exit(1)","    program += part","exec(compile(program, 'deploy-actions helper.py', 'exec'))"].join(`
`)]}function je(e,n,t){let a=ot(),r=(0,A.spawn)(e.python,st(a),{cwd:e.directory,env:{...e.environment,PYTHONUNBUFFERED:"1",PYTHONIOENCODING:"utf-8"},stdio:"pipe"}),i=Le(),s;r.on("error",l=>{s=l}),r.stdin.on("error",()=>{}),(0,j.createInterface)({input:r.stderr}).on("line",l=>{i.add(`${l}
`),t.log.debug(be(l,t.secrets))}),(0,j.createInterface)({input:r.stdout}).on("line",l=>{let u=JSON.parse(l);(0,Y.d)(u)&&t.onMessage(u)}),r.stdin.write(a);let o=l=>{r.stdin.write(`${JSON.stringify(l)}
`)};return o(n),{send:o,hangUp:()=>r.stdin.end(),kill:l=>{r.kill(l)},ended:new Promise(l=>{r.on("close",()=>l())}),unexpectedEnd:l=>{if(s!==void 0&&(0,g.e)(s)!==void 0)return new g.a("not_found",`The Python ${e.python} cannot be started.`,{remedy:"Name the Python that the application runs with, such as .venv/bin/python.",cause:s});let u=r.signalCode??`code ${r.exitCode}`;return new g.a("command_failed",`The application's Python ended (${u}) while ${l}.`,{details:Te(be(i.text(),t.secrets))})}}}function Ne(e,n){let t=(0,Y.d)(e)?e:{},a=i=>be(typeof i=="string"?i:"",n),r=Array.isArray(t.details)?t.details.map(a):[];return new g.a(lt(t.code)?t.code:"internal",a(t.message),{remedy:a(t.remedy)||void 0,details:r})}function lt(e){return typeof e=="string"&&Object.hasOwn(z,e)}var dt=4e3,ct=5e3;async function pt(e,n,t){let a={error:null,retry:!1,unfinished:null};if(t.signal.aborted)return{...a,error:(0,g.b)("migrations were about to be run")};let r=!1,i=performance.now(),s=je(e,{mode:"migrate",manage:e.manage,...n},{...t,onMessage:u=>{let f=`${String(u.app)}.${String(u.name)}`;switch(u.event){case"started":a.unfinished={migration:f,operationsDone:0,operations:Number(u.operations)},t.log.progress({what:u.verb==="apply"?"applying migrations":"taking back migrations",elapsed:performance.now()-i,detail:f});break;case"operation":a.unfinished!==null&&(a.unfinished.operationsDone=Number(u.index)+1);break;case"ended":a.unfinished=null,t.log.info(`${u.verb==="apply"?"Applied":"Took back"} ${f} in ${(0,R.b)(Number(u.milliseconds))}.`);break;case"failed":a.error=Ne(u.error,t.secrets),a.retry=u.retry===!0;break;case"done":r=!0;break}}}),o=[],l=()=>{s.hangUp(),o.push(setTimeout(()=>s.kill("SIGTERM"),dt)),o.push(setTimeout(()=>s.kill("SIGKILL"),ct))};return t.signal.addEventListener("abort",l),await s.ended,o.forEach(clearTimeout),t.signal.removeEventListener("abort",l),r||(a.error??=s.unexpectedEnd("migrations were being run")),a}var mt=6e4,ut=12e4,ft=5e3;async function ht(e,n,t){let a=new Map,r=Promise.withResolvers(),i=new AbortController,s,o=1,l=je(e,{mode:"session",manage:e.manage,database:n},{...t,onMessage:f=>{if(f.event==="ready")r.resolve(void 0);else if(f.event==="failed")s=Ne(f.error,t.secrets);else if(f.event==="lock_lost")s=new g.a("lock_lost",`The migration lock was lost: ${String(f.message)}.`,{remedy:"Connect to PostgreSQL directly, not through a pooler in transaction mode."});else{let C=Number(f.id),S=a.get(C);a.delete(C),"error"in f?S?.reject(Ne(f.error,t.secrets)):S?.resolve(f.result)}}});l.ended.then(()=>{let f=s??l.unexpectedEnd("it was being asked");r.reject(f);for(let C of a.values())C.reject(f);a.clear(),i.abort(f)});async function u(f,C,S,$){let d=Promise.withResolvers(),w=()=>d.reject((0,g.b)(C));$.aborted&&w(),$.addEventListener("abort",w);let c=setTimeout(()=>d.reject(new g.a("timeout",`No answer from Django in ${S/1e3} s while ${C}.`)),S);try{return await Promise.race([f,d.promise])}catch(m){throw f.catch(()=>{}),m instanceof g.a&&(m.reasonCode==="timeout"||m.reasonCode==="cancelled")&&l.kill("SIGKILL"),m}finally{clearTimeout(c),$.removeEventListener("abort",w)}}return await u(r.promise,"Django was starting",mt,t.signal),{lost:i.signal,request:async(f,C,S=ut)=>{if(i.signal.aborted)throw i.signal.reason;let $=Promise.withResolvers(),d=o++;return a.set(d,$),l.send({...f,id:d}),await u($.promise,`asking for ${String(f.command)}`,S,C)},close:async()=>{l.hangUp();let f=setTimeout(()=>l.kill("SIGKILL"),ft);await l.ended,clearTimeout(f)}}}var gt=30*6e4,_t=3e4,yt=1e3,ne=e=>`${e.app}.${e.name}`;function wt(e){let{log:n}=e,t=e.database??"default",a={directory:e.directory,python:e.python,manage:e.manage??"manage.py",environment:{...e.environment,...e.settings===void 0?{}:{DJANGO_SETTINGS_MODULE:e.settings}}},r=new Set,i;async function s(d){if(i!==void 0&&!i.lost.aborted)return i;let w=(0,L.join)(a.directory,a.manage);await(0,P.access)(w).catch(m=>{throw new g.a("not_found",`There is no ${w}.`,{remedy:"Name the directory of the application's manage.py.",cause:m})}),i=await ht(a,t,{log:n,secrets:r,signal:d});let c=Ie(await i.request({command:"connection"},d));return r.add(c.PGPASSWORD??""),i}async function o(d,w){return await(await s(d)).request(w,d)}async function l(d){let{database:w,migrations:c,invalidIndexes:m}=await o(d,{command:"status"});return{database:w,migrations:c,invalidIndexes:m}}async function u(d,w=[]){let c=await o(d,{command:"plan",targets:w}),m=c.plan.map(D=>({...D,sqlHash:D.sql===null?null:bt(D.sql),findings:[]})),_={hash:vt(c.database,m),database:c.database,targets:w,migrations:m,reverse:c.reverse,invalidIndexes:c.invalidIndexes},k=q(_);return{..._,migrations:m.map(D=>({...D,findings:k.filter(Q=>Q.migration===ne(D))}))}}async function f(d,w){let c=await l(AbortSignal.timeout(6e4)),m=new Map(c.migrations.map(_=>[ne(_),_.state]));return d.migrations.map(_=>{let k={app:_.app,name:_.name},D=m.get(ne(_))??"not-applied";if(_.atomic||w?.migration!==ne(_))return{...k,state:D};let{operationsDone:Q,operations:V}=w,U=c.invalidIndexes.filter(pe=>!d.invalidIndexes.includes(pe)),re=`it has no transaction: ${Q} of ${V} operations are done`+(U.length>0?`; invalid indexes: ${U.join(", ")}`:"");return{...k,state:"partly",detail:re}})}async function C(d,w){let c=await s(d),m=(0,R.c)(e.lockWait??0);for(;;){let _=await c.request({command:"lock",name:e.deployment,holder:`deploy-actions ${e.holder}`},d);if(_===!0)break;if(m.passed())throw Re(_);n.progress({what:"waiting for another migration",elapsed:m.elapsed(),remaining:m.remaining(),detail:Re(_).message}),await(0,R.e)(Math.min(yt,m.remaining()),d,"waiting for the migration lock")}try{return await w(AbortSignal.any([d,c.lost]),c)}finally{await c.request({command:"unlock"},AbortSignal.timeout(1e4)).catch(()=>{})}}async function S(d,w,c,m){let _=new Map(d.migrations.map(V=>[ne(V),V.atomic])),k=0,D=0,Q;for(;;){await c?.check();let V=await pt(a,{database:t,arguments:w,lockTimeout:e.lockTimeout??5e3,statementTimeout:e.statementTimeout??15*6e4},{log:n,secrets:r,signal:m}),U=V.unfinished?.migration;if(!(V.retry&&U!==void 0&&_.get(U)===!0)||m.aborted)return{outcome:V,retries:k};if(U!==Q&&(D=0),Q=U,D>=(e.retries??5))return{outcome:V,retries:k};let re=Math.min(_t,(e.retryDelay??1e3)*2**D)*(.5+Math.random()/2);D+=1,k+=1,n.warning(`${U} could not get a lock in ${(0,R.b)(e.lockTimeout??5e3)}; retry ${D} of ${e.retries??5} in ${(0,R.b)(re)}.`);try{await(0,R.e)(re,m)}catch{return{outcome:V,retries:k}}}}async function $(d,w,c,m){let _=(0,R.c)(w.limit??gt),k=AbortSignal.timeout(_.total);return await C(AbortSignal.any([w.signal,k]),async(D,Q)=>{let V=await c(D,Q);V.length>0&&await w.beforeWrite?.(D);let U=0;for(let re of V){if(Q.lost.aborted)throw Q.lost.reason;let pe=await S(d,re,w.fence,D);U+=pe.retries;let{error:de,unfinished:Bt,retry:qt}=pe.outcome;if(de===null)continue;let ye=Et(w.signal,k,Q,_.total)??de,Oe=await f(d,Bt).catch(Ut=>{throw new K(ye.reasonCode,`Migration stopped: ${ye.message} What was applied cannot be read: ${(0,g.c)(Ut)}`,{states:[],details:de.details,cause:de})});throw new K(qt&&ye===de?"migration_locked":ye.reasonCode,`${m(Oe)} ${ye.message}`,{states:Oe,remedy:xt(Oe,ye),details:de.details,cause:de})}return{states:await f(d,null),retries:U,elapsed:_.elapsed()}})}return{status:l,plan:u,lint:q,apply:(d,w)=>$(d,w,async c=>{let m=await u(c,d.targets);if(m.hash!==d.hash)throw kt(d,m);return m.migrations.length===0?[]:d.targets.length===0?[[]]:d.targets.map(({app:_,name:k})=>k===void 0?[_]:[_,k])},c=>`Migration stopped with ${Me(c)}.`),reverse:(d,w)=>$(d,w,async(c,m)=>{if(!d.reverse.possible)throw new g.a("unsupported",`There is no way back: ${d.reverse.reasons.join("; ")}.`,{remedy:"Restore the backup, or migrate forward with a correction."});let{steps:_}=d.reverse,k=await m.request({command:"unapplied-by",steps:_},c),D=Array.isArray(k)?k.map($t):[],Q=new Set(d.migrations.map(ne)),V=D.flat().filter(U=>!Q.has(U));if(V.length>0)throw new g.a("plan_changed",`Going back would also take back ${V.join(", ")}.`,{remedy:"These were applied later; take them back first."});return _.filter((U,re)=>(D[re]??[]).length>0).map(({app:U,name:re})=>[U,re])},c=>`Going back stopped with ${Me(c)}.`),verify:async(d,w)=>{let c=await o(w,{command:"plan",targets:d.targets}),m=new Map(c.migrations.map(k=>[ne(k),k.state])),_=[...d.migrations.filter(k=>m.get(ne(k))!=="applied").map(k=>`${ne(k)} is not recorded as applied`),...c.plan.map(k=>`${ne(k)} is still to be applied`),...c.invalidIndexes.filter(k=>!d.invalidIndexes.includes(k)).map(k=>`the index ${k} is invalid`)];if(_.length>0)throw new g.a("verify_failed",`The database is not as planned: ${[...new Set(_)].join("; ")}.`,{remedy:"Drop an invalid index (DROP INDEX CONCURRENTLY), make the plan again and apply it."})},connection:async d=>Ie(await(await s(d)).request({command:"connection"},d)),close:async()=>{await i?.close(),i=void 0}}}function bt(e){return(0,O.createHash)("sha256").update(e).digest("hex")}function vt(e,n){return(0,Y.b)({database:{host:e.host,port:e.port,name:e.name},migrations:n.map(({app:t,name:a,atomic:r,sqlHash:i,sourceHash:s})=>({app:t,name:a,atomic:r,sqlHash:i,sourceHash:s}))})}function kt(e,n){let t=i=>i.migrations.map(ne).join(", ")||"nothing",a=({database:{host:i,port:s,name:o}})=>`${i}:${s}/${o}`,r=a(e)!==a(n)?`it was made for ${a(e)}, this is ${a(n)}`:t(e)!==t(n)?`it was to apply ${t(e)}; now it is ${t(n)}`:`the SQL or the source of its migrations has changed (${t(n)})`;return new g.a("plan_changed",`The plan is not the one that was approved: ${r}. Nothing was migrated.`,{remedy:"Make the plan again and have it approved."})}function Re(e){let n=(0,Y.d)(e)?e:{},t=n.pid,a=typeof t=="number"?`"${String(n.name)}" (user ${String(n.user)}, server process ${t}, for ${(0,R.b)(Number(n.seconds)*1e3)})`:"somebody who has just ended";return new g.a("migration_locked",`Another migration holds the lock: ${a}. Nothing was migrated.`,{remedy:"Wait for it to end. If its run is dead, end its session with pg_terminate_backend."})}function Et(e,n,t,a){return t.lost.aborted?new g.a("lock_lost",`The migration lock was lost: ${(0,g.c)(t.lost.reason)}`):e.aborted?(0,g.b)("migrating"):n.aborted?new g.a("timeout",`The limit of ${(0,R.b)(a)} is over.`):null}function Me(e){let n=t=>e.filter(a=>a.state===t);return[`applied: ${n("applied").map(ne).join(", ")||"none"}`,...n("partly").map(t=>`partly applied: ${ne(t)} (${t.detail??""})`),`not applied: ${n("not-applied").map(ne).join(", ")||"none"}`].join("; ")}function xt(e,n){return e.some(t=>t.state==="partly")?"Do not run it again as it is: undo by hand what was done, or make its operations repeatable.":n.remedy??"What is applied stays applied and recorded; correct the cause and run it again."}function Ie(e){let n=(0,Y.d)(e)?Object.entries(e):[];return Object.fromEntries(n.filter(t=>typeof t[1]=="string"))}function $t(e){return Array.isArray(e)?e.filter(n=>typeof n=="string"):[]}function Be({database:e}){return{kind:"database",name:e.name,version:null}}function qe({location:{file:e}},{workspace:n,directory:t}){return e===null?null:(0,L.relative)(n,(0,L.resolve)(t,e))}function Tt(e,n,t){return(0,ae.c)(n.map(a=>{let{rule:r,severity:i,migration:s,message:o,remedy:l,location:u}=a,{title:f,link:C}=le[r],S=qe(a,t);return{rule:{id:r,title:f,help:l,link:C,tags:["migration"]},severity:i==="error"?"high":"medium",message:`${o} ${l}`,target:Be(e),subject:s===""?null:{name:s,version:null,fixedVersion:null,path:null},location:S===null?null:{file:S,startLine:u.line,endLine:u.line},context:o}}))}async function At(e){if(e===void 0)return{};let n=await(0,g.f)((0,P.readFile)(e,"utf8"));if(n===void 0)throw new g.a("not_found",`The environment file ${e} does not exist on this host.`,{remedy:"Correct `env-file`. Nothing was migrated."});let t=(0,X.b)(n);if("problem"in t)throw new g.a("invalid_input",`The environment file ${e}: ${t.problem}.`);return t.values}async function Nt(e,n){let t={};for(let[a,r]of Object.entries(n.environment))r!==void 0&&!/^(?:INPUT_|GITHUB_|ACTIONS_|RUNNER_|STATE_)/.test(a)&&(t[a]=r);return{...t,...await At(e["env-file"]),...e.env}}function Ot(e,n,t){if(e.migrator==="django")return wt({directory:e.directory,python:e.python,...e.settings===void 0?{}:{settings:e.settings},environment:t,deployment:e.environment,holder:n.facts.runUrl||`process ${process.pid}`,lockWait:e["wait-for-other"],lockTimeout:e["lock-timeout"],statementTimeout:e["statement-timeout"],log:n.log})}function Lt(e){return(e.target??[]).map(n=>{let[t="",a]=n.split(".");return a===void 0?{app:t}:{app:t,name:a}})}function Dt(e){let{file:n,line:t}=e.location;return n===null?e.migration:`${n}${t===null?"":`:${t}`}`}function Ue(e){return`${Dt(e)} ${e.severity} ${e.rule}: ${e.message} ${e.remedy}`}function Ct({plan:e,states:n,backup:t}){let a=(0,Z.b)(),{host:r,port:i,name:s}=e.database;if(a.paragraph((0,I.c)(`Database ${s} at ${r}:${i}, plan ${e.hash}`)),e.migrations.length===0)return a.paragraph("Every migration is applied."),a.text();a.table(["Migration","In a transaction","Way back","What it does","State"],e.migrations.map(o=>[(0,I.c)(`${o.app}.${o.name}`),o.atomic?"yes":"no",o.reversible?"yes":"**no**",o.operations.map(l=>(0,I.c)(l.description)).join("<br>"),n.find(l=>l.app===o.app&&l.name===o.name)?.state??"not-applied"]));for(let o of e.migrations)a.details(`SQL of ${o.app}.${o.name}`,o.sql??o.sqlProblem??"");if(a.paragraph(e.reverse.possible?`Way back: ${e.reverse.steps.map(o=>`\`migrate ${o.app} ${o.name}\``).join(", then ")}`:`No way back: ${e.reverse.reasons.map(I.c).join("; ")}`),t!==void 0){let{file:o,bytes:l,tables:u,verified:f,sha256:C}=t;a.table(["Backup","Bytes","Tables","Verified by","SHA-256"],[[(0,I.c)(o),String(l),String(u.length),f,C]])}return a.text()}async function St(e,n,t){let{plan:a}=t;if(a===void 0)return;let r=Ct({...t,plan:a}),i=(0,se.b)(n,e["github-token"]),{pullRequest:s}=i;if(t.findings.length===0&&s===void 0&&!e.sarif){n.summary.paragraph(r);return}let{environment:o}=e,l=Tt(a,t.findings,{workspace:n.facts.workspace,directory:e.directory});await(0,B.a)({...i,pullRequest:n.deployment===void 0?s:void 0},n,{purpose:`migrate-db-${o}`,title:`Database migration for ${o}`,findings:l,verdict:(0,ue.a)(l,e["on-unsafe"]==="fail"?{critical:0,high:0}:{}),more:r,...e.sarif?{sarif:{tool:"migrate-db",targets:[Be(a)]}}:{}})}function Pt(e){let n=a=>e.filter(({state:r})=>r===a).map(({app:r,name:i})=>`${r}.${i}`),t=[["applied",n("applied")],["partly applied",n("partly")],["not applied",n("not-applied")]].filter(([,a])=>a.length>0).map(([a,r])=>`${a}: ${r.join(", ")}`);return t.length===0?"":`${t.join("; ")}.`}function ve(e,n,t=[]){let{plan:a,findings:r,backup:i,states:s}=e;return{...n,outputs:{"plan-hash":a?.hash,planned:a?.migrations.length,applied:s.filter(o=>o.state==="applied").length,findings:r.length,reversible:a?.reverse.possible,"backup-file":i?.file,"backup-sha256":i?.sha256},report:{plan:a,findings:r,backup:i,states:s,details:t}}}function jt(e,n,t){let a=e["approved-plan"],r=l=>l.replace(/^sha256:/,"");if(a!==void 0&&r(a)!==r(n.hash))return{result:"refused",reasonCode:"plan_changed",message:`The plan is ${n.hash}, but ${a} was approved; nothing was migrated.`,remedy:"Look at the new plan, approve it, and give its hash."};let[i,...s]=t.filter(l=>l.severity==="error");if(i===void 0||e["on-unsafe"]==="warn")return;let o=s.length===0?"":` And ${s.length} more.`;return{result:"refused",reasonCode:"unsafe_migration",message:`The plan is not safe while the old version serves; nothing was migrated. ${Ue(i)}${o}`,remedy:"Follow what each finding says, or set `on-unsafe: warn` for a maintenance window."}}async function Rt(e,n,t,a,r){let{log:i,signal:s}=n,o=await i.group("Plan",()=>t.plan(s,Lt(e))),l=t.lint(o);Object.assign(r,{plan:o,findings:l});let u=o.migrations.length;for(let{app:$,name:d}of o.migrations)i.info(`  ${$}.${d}`);for(let $ of l){let d=qe($,{workspace:n.facts.workspace,directory:e.directory});(d!==null&&(0,F.g)(d)!==null?i.info:i.warning)(Ue($))}let f=jt(e,o,l);if(f!==void 0&&!e["dry-run"])return ve(r,f);if(e["dry-run"]){let $=f===void 0?"":` It would be refused: ${f.message}`;return ve(r,{result:"planned",reasonCode:"dry_run",message:`${u} migrations would be applied, with ${l.length} findings; nothing was written.${$}`})}if(u===0)return await t.verify(o,s),ve(r,{result:"unchanged",reasonCode:"already_current",message:"Every migration is applied; there was nothing to do."});let C=await i.group("Apply",()=>t.apply(o,{signal:s,limit:e.timeout,async beforeWrite($){if(e.backup==="none")return;r.backup=await Ze({connection:await t.connection($),directory:e["backup-directory"],...e["postgres-bin"]===void 0?{}:{postgresBin:e["postgres-bin"]},environment:a,verify:e.backup,log:i,signal:$});let{file:d,bytes:w,tables:c,verified:m}=r.backup;i.info(`Backup ${d}: ${w} bytes, ${c.length} tables, verified by ${m}.`)}}));r.states=C.states,await t.verify(o,s);let S=r.backup===void 0?"":`; the backup is ${r.backup.file}`;return ve(r,{result:"succeeded",reasonCode:"ok",message:`${u} migrations were applied and verified in ${(0,R.b)(C.elapsed)}${S}.`})}async function Mt(e,n,t,a){let r=Ot(e,n,t);try{return await Rt(e,n,r,t,a)}catch(i){if(!(i instanceof K))throw i;a.states=i.states;for(let{app:s,name:o,state:l,detail:u}of a.states)n.log.info(`  ${s}.${o}: ${l}${u===void 0?"":` (${u})`}`);return ve(a,{result:i.reasonCode==="cancelled"?"cancelled":"failed",reasonCode:i.reasonCode,message:`${i.message} ${Pt(a.states)}`,remedy:i.remedy},i.details)}finally{await r.close()}}async function It(e,n){let t=await Nt(e,n);for(let i of(0,X.c)(t))n.mask(i);let a={findings:[],states:[]},r=await Mt(e,n,t,a);return await St(e,n,a),r}})};export{Wt as id,Ft as ids,Gt as modules};
