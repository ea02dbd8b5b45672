const rn=937,on=[937],sn={7830:((Pe,te,x)=>{x.d(te,{a:()=>S,b:()=>se,c:()=>R});var P=x(6006),z=x(7407),oe=x(8975),F={batch:50,total:500,title:255,messageBytes:64*1024,commandsPerLevel:10},Y={critical:"failure",high:"failure",medium:"warning",low:"notice",unknown:"notice"};function S($,E=F.total){let{placed:N,elsewhere:k}=j($),T=N.slice(0,E).map(K),O=[];for(let L=0;L<T.length;L+=F.batch)O.push(T.slice(L,L+F.batch));return{items:O,elsewhere:k,...J(N,T.length)}}function se($){let{placed:E,elsewhere:N}=j($),k={failure:0,warning:0,notice:0},T=[],O=[];for(let L of E){let H=Y[L.finding.severity];k[H]+=1,(k[H]<=F.commandsPerLevel?T:O).push(L)}return{items:T.map(L=>{let{path:H,start_line:Q,end_line:ne,annotation_level:ae,title:de,message:re}=K(L);return{level:ae==="failure"?"error":ae,message:re,properties:{file:H,startLine:Q,endLine:ne,title:de}}}),elsewhere:N,...J([...T,...O],T.length)}}function j($){let E=(0,P.h)($).flatMap(N=>{let k=N.location===null?null:(0,P.e)(N.location.file);return k===null?[]:[{finding:N,path:k,lines:(0,P.f)(N.location)}]});return{placed:E,elsewhere:$.length-E.length}}function K({finding:$,path:E,lines:N}){let{rule:k,severity:T}=$,O=(0,P.m)((0,z.a)([k.help,k.link??""].join(`
`).trim()),F.messageBytes);return{path:(0,z.a)(E),start_line:N.start,end_line:N.end,annotation_level:Y[T],title:(0,P.l)((0,z.a)(`${T} ${k.id}: ${k.title}`).replaceAll(`
`," "),F.title),message:(0,P.m)((0,z.a)($.message.trim()||k.title.trim()||k.id),F.messageBytes),...O===""?{}:{raw_details:O}}}function J($,E){let N=(0,P.i)($.map(({finding:k})=>k),E);return{cut:N,notice:(0,P.j)(N,$.length)}}function R($){let E=new Map;for(let[k,T]of $.entries()){let O=w(T),L=E.get(O);L===void 0?E.set(O,[{draft:T,index:k}]):L.push({draft:T,index:k})}let N=[];for(let[k,T]of E){T.sort((O,L)=>le(O.draft,L.draft));for(let[O,{draft:L,index:H}]of T.entries())N[H]={...L,fingerprint:`${k}:${O+1}`,known:null}}return N}function w({rule:$,target:E,subject:N,location:k,context:T}){let O=[$.id,E.kind,E.name,N?.name??null,N?.path??null,k?.file??null,T===null?null:q(T)];return(0,oe.b)(O).slice(7,39)}function q($){return $.normalize("NFC").replace(/\s+/g," ").trim()}function le($,E){return($.location?.startLine??0)-(E.location?.startLine??0)||(0,P.k)($.subject?.version??"",E.subject?.version??"")||(0,P.k)($.message,E.message)}}),5937:((Pe,te,x)=>{x.r(te),x.d(te,{run:()=>en});var P=x(1515),z=x(373),oe=x(4186),F=x(5712),Y=x(7830),S=x(6006),se=x(8369),j=x(7407),K=x(8975),J=x(7446),R=x(9970),w=x(6506),q=x(1455),le=x(8522),$=x(1421),E=x(7598),N=x(3024),k=x(6760),T=x(481),O={ok:"The action did what was asked.",already_current:"What was asked for was already so; nothing was written.",dry_run:"Only the plan was made, because `dry-run` is true.",invalid_input:"One or more inputs are missing or not allowed; nothing was touched.",invalid_config:"deploy.yml cannot be read or says something that is not allowed; nothing was touched.",unsupported:"The platform or router does not have a capability that was asked for.",not_found:"A file, program, release or service that was named does not exist.",version_not_found:"The release to go back to does not exist or is no longer kept.",permission_denied:"A right that is needed is missing.",unreachable:"A host, socket or API could not be reached.",lock_held:"Another run holds the lease of this environment.",lock_lost:"The lease was taken over by another run; this run wrote nothing after that.",environment_frozen:"The environment is frozen; nothing was written.",state_conflict:"What is there changed while it was being read, and the intent no longer held.",state_too_new:"The state was written by a newer version of the suite.",state_corrupt:"The stored state cannot be read.",checks_not_green:"A check that the commit has to pass failed, or was not there in time; nothing was touched.",start_failed:"The new version could not be started or ended by itself.",not_ready:"The new version did not become ready in time.",unhealthy:"A health check did not pass in time.",router_rejected:"The router refused the new configuration.",router_unverified:"The router was written to, but the data plane did not follow in time.",drain_timeout:"Requests were still in flight when the time to drain was over.",limit_exceeded:"A metric was beyond its limit.",insufficient_data:"There were too few requests, or no usable data, to reach a verdict.",metrics_unavailable:"The metric source failed or answered nonsense.",migration_failed:"A migration failed; the report says what was applied.",migration_locked:"Another migration is running, or a table lock could not be had in time.",unsafe_migration:"A migration would break the version that serves, lose data or block a table.",plan_changed:"The plan is not the one that was approved.",backup_failed:"The backup could not be made or verified; nothing was migrated.",verify_failed:"The state after the change is not what the plan said.",resumed:"An unfinished release of an earlier run was found and finished.",reverted:"The release was taken back; the previous version serves.",revert_failed:"The release could not be taken back completely; the report says what is left.",unfinished_release:"An unfinished release of another version has to be settled first.",cancelled:"The run was cancelled.",timeout:"The time allowed was over.",command_failed:"A command ended with an error.",internal:"An error of the suite itself; please report it."};function L(e,n,t={}){let a=(0,S.b)(),r=(0,S.b)();for(let o of e){let s=t.onlyNew===!0&&o.known===!0;(s?r:a)[o.severity]+=1}let i=S.a.flatMap(o=>{let s=n[o];return s!==void 0&&a[o]>s?[{severity:o,count:a[o],limit:s}]:[]});return{passed:i.length===0,counts:a,known:r,exceeded:i,message:H(a,r,n,t.onlyNew===!0)}}function H(e,n,t,a){let r=S.a.filter(u=>t[u]!==void 0),i=r.filter(u=>e[u]>t[u]),o=`${a?"new findings":"findings"}: ${(0,S.c)(e)}`,s=u=>`${e[u]} ${u} where ${t[u]} ${t[u]===1?"is":"are"} allowed`,l=r.length===0?"no limit is set":`allowed: ${r.map(u=>`${t[u]} ${u}`).join(", ")}`,c=i.length>0?`Too many ${a?"new ":""}findings: ${i.map(s).join(", ")}. All ${o}.`:`Within the limits; ${o} (${l}).`,p=(0,S.c)(n);return p==="none"?c:`${c} Known before and not counted: ${p}.`}var Q={results:5e3,gzipBytes:1e7,tags:10,description:1024,message:4096,help:16384};function ne(e,{kind:n,name:t}){return`${e}/${n}/${t}`}function ae(e,n={}){let{results:t,gzipBytes:a}={...Q,...n},r=(0,S.h)(e.findings),i=Math.min(r.length,t);for(;;){let o=(0,S.i)(r,i),s=(0,S.j)(o,r.length),l=JSON.stringify(de(e,r.slice(0,i),s)),c=(0,le.gzipSync)(l);if(c.length<=a||i===0)return{category:e.category,text:l,gzip:c,cut:o,notice:s};i=Math.min(i-1,Math.floor(i*a/c.length*.97))}}function de({tool:e,category:n},t,a){let r=new Map,i=t.map(o=>{let s=r.get(o.rule.id);return s===void 0&&(s={descriptor:Me(o),index:r.size},r.set(o.rule.id,s)),qe(o,s.index)});return{$schema:"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",version:"2.1.0",runs:[{tool:{driver:{name:X(e.name,255,"deploy-actions"),...e.version===null?{}:{version:X(e.version,255,"0")},...(0,S.g)(e.link)?{informationUri:e.link}:{},rules:Array.from(r.values(),({descriptor:o})=>o)}},automationDetails:{id:`${(0,j.a)(n)}/`},invocations:[{executionSuccessful:!0,...a===""?{}:{toolExecutionNotifications:[{descriptor:{id:"findings-cut"},level:"warning",message:{text:a}}]}}],originalUriBaseIds:{[re]:{description:{text:"The root of the repository."}}},columnKind:"utf16CodeUnits",results:i}]}}var re="%SRCROOT%",ce={critical:"error",high:"error",medium:"warning",low:"note",unknown:"note"},Re={critical:"9.5",high:"8.0",medium:"5.5",low:"2.0",unknown:"0.0"},Ie={error:"error",warning:"warning",note:"recommendation"};function Me({rule:e,severity:n}){let t=X(e.title,Q.description,e.id),a=X(e.help,Q.help,t),r=(0,S.g)(e.link)?e.link:null,i=[...new Set(e.tags.map(j.a))].slice(0,Q.tags);return{id:(0,j.a)(e.id),shortDescription:{text:t},fullDescription:{text:(0,S.l)(a,Q.description)},...r===null?{}:{helpUri:r},help:{text:r===null?a:`${a}
${r}`,markdown:r===null?(0,j.c)(a):`${(0,j.c)(a)}

<${r}>`},defaultConfiguration:{level:ce[n]},properties:{tags:i,precision:"very-high",...e.tags.includes("security")?{"security-severity":Re[n]}:{"problem.severity":Ie[ce[n]]}}}}function qe(e,n){let{rule:t,severity:a,target:r,location:i,fingerprint:o,known:s}=e,l=i===null?null:(0,S.e)(i.file),{start:c,end:p}=i===null||l===null?{start:1,end:1}:(0,S.f)(i);return{ruleId:(0,j.a)(t.id),ruleIndex:n,level:ce[a],message:{text:Be(X(e.message,Q.message,X(t.title,1024,t.id)))},locations:[{physicalLocation:{artifactLocation:{uri:Ue(l??r.name),uriBaseId:re},region:{startLine:c,endLine:p}}}],partialFingerprints:{primaryLocationLineHash:o},...s===null?{}:{baselineState:s?"unchanged":"new"}}}function X(e,n,t){let a=(0,S.l)((0,j.a)(e).trim(),n);return a===""?(0,j.a)(t):a}function Be(e){return e.replaceAll("](","] (")}function Ue(e){let n=e.toWellFormed().split("/").filter(t=>!["",".",".."].includes(t));return n.length===0?"unnamed":n.map(encodeURIComponent).join("/")}var pe=class extends w.a{states;constructor(e,n,t){super(e,n,t),this.name="MigrationError",this.states=t.states}},ge={"drop-table":{severity:"error",title:"A table is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/sql-droptable.html"},"drop-column":{severity:"error",title:"A column is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"drop-database":{severity:"error",title:"A database or schema is dropped",remedy:"Do not drop a database or schema in a migration.",link:"https://www.postgresql.org/docs/current/sql-dropschema.html"},rename:{severity:"error",title:"A name that old code uses is changed",remedy:"Add the new name, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"add-not-null":{severity:"error",title:"A column is added that old code does not fill",remedy:"Add it nullable, or with a default of the database (db_default), which Django keeps.",link:"https://docs.djangoproject.com/en/stable/ref/models/fields/#db-default"},"set-not-null":{severity:"error",title:"A column becomes NOT NULL under a lock",remedy:"Add CHECK (\u2026 IS NOT NULL) NOT VALID, VALIDATE it in another migration, then set NOT NULL.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"change-type":{severity:"error",title:"The type of a column is changed",remedy:"Add a new column, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"index-blocks":{severity:"error",title:"Building or dropping an index blocks writes",remedy:"Use AddIndexConcurrently or RemoveIndexConcurrently in a migration with atomic = False.",link:"https://docs.djangoproject.com/en/stable/ref/contrib/postgres/operations/#concurrent-index-operations"},"constraint-blocks":{severity:"error",title:"Adding a constraint blocks writes",remedy:"Build a unique index concurrently and add the constraint USING INDEX; add others NOT VALID and VALIDATE later.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"concurrently-in-transaction":{severity:"error",title:"CONCURRENTLY stands in a transaction",remedy:"Set atomic = False in the migration.",link:"https://docs.djangoproject.com/en/stable/howto/writing-migrations/#non-atomic-migrations"},truncate:{severity:"error",title:"A table is emptied",remedy:"Empty a table outside of a release, after a backup.",link:"https://www.postgresql.org/docs/current/sql-truncate.html"},cascade:{severity:"error",title:"CASCADE drops what depends on it",remedy:"Drop what depends on it by name, so that nothing else goes with it.",link:"https://www.postgresql.org/docs/current/ddl-depend.html"},"irreversible-code":{severity:"warning",title:"Code has no way back",remedy:"Give RunPython a reverse_code; RunPython.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runpython"},"irreversible-sql":{severity:"warning",title:"SQL has no way back",remedy:"Give RunSQL a reverse_sql; RunSQL.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runsql"},irreversible:{severity:"warning",title:"An operation has no way back",remedy:"Make the operation reversible, or be sure to have a backup.",link:"https://docs.djangoproject.com/en/stable/topics/migrations/#reversing-migrations"},"unknown-sql":{severity:"warning",title:"SQL that is not known is not checked",remedy:"Apply what comes before it first, and plan again to see its SQL.",link:"https://docs.djangoproject.com/en/stable/ref/django-admin/#sqlmigrate"},"invalid-index":{severity:"warning",title:"An index is left invalid",remedy:"Drop it with DROP INDEX CONCURRENTLY and build it again.",link:"https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"}},We=/\s+/y,Fe=/--[^\n]*/y,Ge=/[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y,Ke=/(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y,He=/(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y,Qe=/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y,ze=/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;function _e(e){let n=[],t=[],a=0,r=0,i=s=>{s.lastIndex=r;let l=s.exec(e)?.[0];return l!==void 0&&(r+=l.length),l},o=(s,l)=>t.push({kind:s,text:l,depth:a});for(;r<e.length;){if(i(We)!==void 0||i(Fe)!==void 0)continue;if(e.startsWith("/*",r)){r=Ye(e,r);continue}let s=i(Ge)??i(Ke);if(s!==void 0){o("string",s);continue}let l=i(He);if(l!==void 0){o("name",l.slice(l.indexOf('"')+1,-1).replaceAll('""','"'));continue}let c=i(Qe);if(c!==void 0){let b=e.indexOf(c,r),_=b<0?e.length:b+c.length;o("string",e.slice(r-c.length,_)),r=_;continue}let p=i(ze);if(p!==void 0){o("word",p.toLowerCase());continue}let u=String.fromCodePoint(e.codePointAt(r)??0);if(r+=u.length,u===";"&&a===0&&!Xe(t)){n.push(t),t=[];continue}u===")"&&(a=Math.max(0,a-1)),o("symbol",u),u==="("&&(a+=1)}return n.push(t),n.filter(s=>s.length>0)}function Ye(e,n){let t=/\/\*|\*\//g;t.lastIndex=n;let a=0;for(let r=t.exec(e);r!==null;r=t.exec(e))if(a+=r[0]==="/*"?1:-1,a===0)return t.lastIndex;return e.length}function Xe(e){if(e[0]?.text!=="create")return!1;let n=e.filter(a=>a.kind==="word").map(a=>a.text),t=n.findIndex((a,r)=>a==="begin"&&n[r+1]==="atomic");return t<0?!1:n.slice(t).filter(a=>a==="begin"||a==="case").length>n.slice(t).filter(a=>a==="end").length}var ie=class{tokens;position=0;constructor(e){this.tokens=e}accept(...e){let n=e.every((t,a)=>{let r=this.tokens[this.position+a];return r?.kind==="word"&&r.text===t});return n&&(this.position+=e.length),n}acceptSymbol(e){let n=this.tokens[this.position];return n?.kind!=="symbol"||n.text!==e?!1:(this.position+=1,!0)}name(){let e=[this.identifier()];for(;this.acceptSymbol(".");)e.push(this.identifier());return(e[0]==="public"&&e.length>1?e.slice(1):e).join(".")}identifier(){let e=this.tokens[this.position];return e===void 0||e.kind!=="word"&&e.kind!=="name"?"":(this.position+=1,e.text)}peek(){return this.tokens[this.position]?.text??""}rest(){return this.tokens.slice(this.position)}};function B(e,...n){let t=e[0]?.depth??0,a=e.filter(r=>r.depth===t);return a.some((r,i)=>n.every((o,s)=>{let l=a[i+s];return l?.kind==="word"&&l.text===o}))}function ye(e){let n=e[0]?.depth??0,t=[[]];for(let a of e)a.kind==="symbol"&&a.text===","&&a.depth===n?t.push([]):t.at(-1)?.push(a);return t}function we(e){let n=new Set,t=e.migrations.flatMap(r=>Ve(r,n)),a=e.invalidIndexes.map(r=>be("invalid-index","",null,null,`The index ${r} is invalid: an earlier concurrent build failed.`));return[...t,...a]}function be(e,n,t,a,r){let{severity:i,remedy:o}=ge[e];return{rule:e,severity:i,migration:n,message:r,remedy:o,location:{file:t,line:a}}}function Ve(e,n){let t=[],a=i=>(o,s)=>t.push(be(o,`${e.app}.${e.name}`,e.file,i,s)),r=new Map;for(let i of e.operations){let o=a(i.line);if(!i.reversible){let s=i.kind==="RunPython"?"irreversible-code":i.kind==="RunSQL"?"irreversible-sql":"irreversible";o(s,`${i.kind} cannot be taken back: ${i.description}.`)}for(let s of _e(i.sql))ve(s,{migration:e,operation:i,made:n,added:r,report:o})}for(let i of _e(e.deferredSql))ve(i,{migration:e,operation:null,made:n,added:r,report:a(null)});for(let{column:i,table:o,hasDefault:s,report:l}of r.values())s||l("add-not-null",`Column ${i} of ${o} is added NOT NULL and keeps no default: INSERTs of old code fail.`);return e.sql===null&&a(null)("unknown-sql",`Its SQL is not known and not checked: ${e.sqlProblem??""}`),t}function ve(e,n){let{migration:t,made:a,report:r}=n,i=new ie(e);t.atomic&&ke(e)&&r("concurrently-in-transaction","CONCURRENTLY fails inside the transaction of the migration."),i.accept("create")?Je(i,a,r):i.accept("alter","table")?tt(i,n):i.accept("alter")?et(i,r):i.accept("drop")?Ze(i,a,r):i.accept("truncate")?(i.accept("table"),i.accept("only"),r("truncate",`TRUNCATE empties ${i.name()}.`)):i.accept("reindex")&&!ke(e)&&r("index-blocks","REINDEX without CONCURRENTLY blocks reads and writes.")}function ke(e){let n=e.slice(0,6).filter(t=>t.kind==="word"&&t.depth===0);return["create","drop","reindex","refresh"].includes(n[0]?.text??"")&&n.some(t=>t.text==="concurrently")}function Je(e,n,t){for(let o of["global","local","temporary","temp","unlogged","unique"])e.accept(o);if(e.accept("table")){e.accept("if","not","exists"),n.add(e.name());return}if(!e.accept("index"))return;let a=e.accept("concurrently");e.accept("if","not","exists");let r=e.peek()==="on"?"An index":`Index ${e.name()}`;e.accept("on"),e.accept("only");let i=e.name();!a&&!n.has(i)&&t("index-blocks",`${r} on ${i} is built without CONCURRENTLY: writes wait until it is done.`)}function Ze(e,n,t){let a=B(e.rest(),"cascade");if(e.accept("database")||e.accept("schema")){e.accept("if","exists"),t("drop-database",`${e.name()} is dropped with all that is in it.`);return}if(e.accept("table")||e.accept("view")||e.accept("materialized","view")){e.accept("if","exists");for(let r of ye(e.rest())){let i=new ie(r).name();n.has(i)||t("drop-table",`${i} is dropped: old code still reads it, and its data is gone.`)}return}!e.accept("index","concurrently")&&e.accept("index")&&(e.accept("if","exists"),t("index-blocks",`Index ${e.name()} is dropped without CONCURRENTLY: reads and writes wait for its lock.`)),a&&t("cascade","CASCADE also drops whatever depends on it.")}function et(e,n){let t=e.peek(),a=e.rest();["type","view","materialized","domain","schema"].includes(t)&&B(a,"rename")&&!B(a,"rename","constraint")&&n("rename",`ALTER ${t.toUpperCase()} renames: one of two live versions does not know the name.`)}function tt(e,n){let{made:t}=n;e.accept("if","exists"),e.accept("only");let a=e.name();if(e.acceptSymbol("*"),t.has(a)){e.accept("rename","to")&&t.add(e.name());return}for(let r of ye(e.rest()))rt(new ie(r),a,n)}var nt=["constraint","primary","unique","foreign","check","exclude"],at=["serial","bigserial","smallserial","serial4","serial8","serial2"];function rt(e,n,t){let{report:a,added:r}=t;if(e.accept("rename")){if(e.accept("constraint"))return;let s=e.accept("to")?n:(e.accept("column"),`column ${e.name()} of ${n}`);a("rename",`${lt(s)} is renamed: one of two live versions does not know the name.`);return}if(e.accept("drop")){if(e.accept("constraint")){B(e.rest(),"cascade")&&a("cascade","CASCADE also drops whatever depends on it.");return}e.accept("column"),e.accept("if","exists"),a("drop-column",`Column ${e.name()} of ${n} is dropped: old code still names it, and its data is gone.`);return}if(e.accept("add")){nt.includes(e.peek())?ot(e.rest(),n,a):it(e,n,t);return}if(!e.accept("alter")||e.peek()==="constraint")return;e.accept("column");let i=e.name(),o=r.get(`${n}.${i}`);if(e.accept("set","not","null"))a("set-not-null",`Column ${i} of ${n} becomes NOT NULL: the table is scanned under an exclusive lock, and NULLs of old code fail.`);else if(e.accept("drop","default"))o!==void 0&&(o.hasDefault=!1);else if(e.accept("set","default"))o!==void 0&&(o.hasDefault=!0);else if(e.accept("type")||e.accept("set","data","type")){let s=t.operation?.alters,l=s?.table===n&&s.column===i?s:void 0;if(l!==void 0&&st(l.from,l.to))return;let c=l===void 0?"":` from ${l.from} to ${l.to}`;a("change-type",`Column ${i} of ${n} changes its type${c}: the table may be rewritten under an exclusive lock.`)}}function it(e,n,t){e.accept("column"),e.accept("if","not","exists");let a=e.name(),r=e.rest();if((B(r,"unique")||B(r,"primary","key"))&&t.report("constraint-blocks",`Column ${a} of ${n} is added with a unique index, which blocks the table while it is built.`),!B(r,"not","null")&&!B(r,"primary","key"))return;let i=r[0]?.text??"",o=B(r,"default")||B(r,"generated")||at.includes(i);t.added.set(`${n}.${a}`,{column:a,table:n,hasDefault:o,report:t.report})}function ot(e,n,t){let a=new ie(e),r=a.accept("constraint")?`Constraint ${a.name()}`:"A constraint",i=a.rest();B(i,"using","index")||(["unique","primary","exclude"].includes(a.peek())?t("constraint-blocks",`${r} on ${n} builds its index while the table is blocked, and duplicates of old code fail.`):["foreign","check"].includes(a.peek())&&!B(i,"not","valid")&&t("constraint-blocks",`${r} on ${n} is checked against every row while the table is locked.`))}function st(e,n){let t=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(e),a=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(n);return t===null?!1:n==="text"||n==="varchar"?t[1]!=="numeric":a===null||t[1]==="numeric"!=(a[1]==="numeric")?!1:Number(a[2])>=Number(t[2])&&(a[3]??"0")===(t[3]??"0")}function lt(e){return e.startsWith("column")?`C${e.slice(1)}`:`Table ${e}`}function xe(e=262144){let n="";return{add:t=>{n=(n+t).slice(-e)},text:()=>n}}function me(e,n=15){return e.trimEnd().split(`
`).slice(-n).filter(Boolean)}function Z(e,n){let t=e.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g,"$1:***@");for(let a of n)a!==""&&(t=t.replaceAll(a,"***"));return t}var dt=64*2**20,ue=`
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`,Ee=`SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  ${ue} ORDER BY 1 \\gexec
`;async function ct(e){let n=(0,R.c)(e.limit??36e5),t=[e.connection.PGPASSWORD??""],a={...e.environment,...e.connection,LC_MESSAGES:"C"},r=await mt(e),i=m=>{e.log.progress({what:m,elapsed:n.elapsed(),remaining:n.remaining()})};async function o(m,f,h,y){let v=await(0,F.b)({command:[r[m],...f],env:y===void 0?a:{...a,PGDATABASE:y},...h===void 0?{}:{input:h},signal:e.signal,timeout:Math.max(1,n.remaining()),keep:dt});if(v.code===0)return v.stdout;let C=me(Z(v.stderr,t));throw U(`${m} ended with ${v.signal??`code ${v.code}`}: ${C.at(-1)??"no message"}`,{details:C})}let s=async(m,f)=>(await o("psql",["-XAtq","-v","ON_ERROR_STOP=1","-f","-"],m,f)).trimEnd();i("reading the size of the database");let[l="",c="",p=""]=(await s(`SELECT current_setting('server_version_num'), coalesce(sum(pg_table_size(c.oid)), 0), current_database()
      ${ue}`)).split("|");await ut(await o("pg_dump",["--version"]),Number(l)),await(0,q.mkdir)(e.directory,{recursive:!0}),await ft(e.directory,e.requiredBytes??Number(c));let u=e.name??`${_t(p)}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g,"")}.dump`,b=(0,k.join)(e.directory,u),_=`${b}.partial`,d=await ht(r.psql,a,t,e.signal);try{await(await(0,q.open)(_,"wx",384)).close(),i("dumping the database"),await o("pg_dump",["-Fc","--no-password","--lock-wait-timeout=30s",`--snapshot=${d.id}`,"-f",_]);let{size:m}=await(0,q.stat)(_);if(m===0)throw U("pg_dump wrote an empty file.");i("verifying the dump");let f=Te(await d.query(`SELECT n.nspname || ' ' || c.relname ${ue} ORDER BY 1;
`)),h=await o("pg_restore",["--list",_]),y=f.filter(A=>!h.includes(` TABLE DATA ${A} `));if(y.length>0)throw U(`The dump lacks the tables ${y.join(", ")}.`);await o("pg_restore",["--file=/dev/null",_]);let v=null;if(e.verify==="restore"){i("restoring the dump into a scratch database");let A=$e(await d.query(Ee));v=await g(_,`deploy_actions_verify_${(0,E.randomBytes)(6).toString("hex")}`);let M=Object.keys(A).filter(G=>A[G]!==v?.[G]);if(M.length>0){let G=M.map(W=>`${W} (${A[W]} rows, restored ${v?.[W]??"none"})`);throw U(`The restored dump differs: ${G.join(", ")}.`)}}let C=await gt(_);await(0,q.rename)(_,b);let D=f.map(A=>A.replace(" ","."));return{file:b,bytes:m,sha256:C,tables:D,rows:v,verified:e.verify,elapsed:n.elapsed()}}catch(m){throw await(0,q.rm)(_,{force:!0}),pt(m,n.total)}finally{await d.release()}async function g(m,f){try{await s(`SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', '${f}',
           pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database() \\gexec
`)}catch(h){throw U(`No scratch database can be made to restore into: ${(0,w.c)(h)}`,{remedy:"Give the database user CREATEDB, or verify the dump without restoring it.",cause:h})}try{return await o("pg_restore",["--no-owner","--no-privileges","--exit-on-error","-d",f,m]),$e(await s(Ee,f))}finally{await(0,F.b)({command:[r.psql,"-XAtqc",`DROP DATABASE IF EXISTS ${f}`],env:a,signal:new AbortController().signal,timeout:15e3}).then(({code:h})=>{h!==0&&e.log.warning(`The scratch database ${f} could not be dropped; drop it by hand.`)},h=>e.log.warning(`The scratch database ${f} is left: ${(0,w.c)(h)}`))}}}function U(e,n={}){return new w.a("backup_failed",`${e} Nothing was migrated.`,n)}function pt(e,n){return e instanceof w.a?e.reasonCode==="timeout"?U(`The backup did not end within ${(0,R.b)(n)}.`,{cause:e}):e:U((0,w.c)(e),{cause:e})}async function mt(e){let n=e.postgresBin===void 0?(e.environment.PATH??"").split(k.delimiter).filter(Boolean):[e.postgresBin],t=async a=>{for(let r of n){let i=(0,k.join)(r,a);if(await(0,q.access)(i,q.constants.X_OK).then(()=>!0,()=>!1))return i}throw U(`${a} is not ${e.postgresBin===void 0?"on PATH":`in ${e.postgresBin}`}.`,{remedy:"Install the client programs of PostgreSQL, of the server\u2019s version or later, or name their folder."})};return{pg_dump:await t("pg_dump"),pg_restore:await t("pg_restore"),psql:await t("psql")}}async function ut(e,n){let t=Number(/\(PostgreSQL\) (\d+)/.exec(e)?.[1]),a=Math.floor(n/1e4);if(!(t>=a))throw U(`pg_dump is version ${t||e.trim()}, older than the server, version ${a}: it refuses to dump.`,{remedy:`Install the client programs of PostgreSQL ${a} or later, or name their folder.`})}async function ft(e,n){let{bavail:t,bsize:a}=await(0,q.statfs)(e),r=t*a;if(!(r>=n))throw U(`${e} has ${Ae(r)} free; the dump may take ${Ae(n)}.`,{remedy:"Free some space, or name another folder for the backup."})}async function ht(e,n,t,a){let r=(0,$.spawn)(e,["-XAtq","-v","ON_ERROR_STOP=1"],{env:n,stdio:"pipe"}),i=xe();r.stderr.setEncoding("utf8").on("data",i.add),r.stdin.on("error",()=>{});let o=(0,T.createInterface)({input:r.stdout}),s=Promise.withResolvers();s.promise.catch(()=>{});let l=new Promise(u=>{r.on("error",b=>s.reject(U((0,w.c)(b),{cause:b}))),r.on("close",()=>{let b=me(Z(i.text(),t)).at(-1)??"it ended";s.reject(a.aborted?(0,w.b)("dumping the database"):U(`psql lost its snapshot: ${b}`)),u()})}),c=()=>{r.kill("SIGTERM")};a.addEventListener("abort",c);async function p(u){let b=`end-${(0,E.randomBytes)(8).toString("hex")}`,_=[],d=Promise.withResolvers(),g=m=>{m===b?d.resolve(_.join(`
`)):_.push(m)};o.on("line",g),r.stdin.write(`${u}\\echo ${b}
`);try{return await Promise.race([d.promise,s.promise])}finally{o.off("line",g)}}return{id:await p(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();
`),query:p,release:async()=>{a.removeEventListener("abort",c),r.stdin.end(),await l}}}function $e(e){return Object.fromEntries(Te(e).map(n=>{let t=n.lastIndexOf("|");return[n.slice(0,t),Number(n.slice(t+1))]}))}function Te(e){return e.split(`
`).filter(Boolean)}async function gt(e){let n=(0,E.createHash)("sha256");for await(let t of(0,N.createReadStream)(e))n.update(t);return n.digest("hex")}function _t(e){return e.replaceAll(/[^\w.-]/g,"_")}function Ae(e){return`${(e/2**20).toFixed(1)} MiB`}function yt(){return`"""Answers about, and runs, the migrations of a Django project, from inside the project's own Python.

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
`}function wt(e){let n=Buffer.byteLength(e);return["-c",["import os","program = b''",`while len(program) < ${n}:`,`    part = os.read(0, ${n} - len(program))`,"    if not part: os._exit(1)","    program += part","exec(compile(program, 'deploy-actions helper.py', 'exec'))"].join(`
`)]}function Ne(e,n,t){let a=yt(),r=(0,$.spawn)(e.python,wt(a),{cwd:e.directory,env:{...e.environment,PYTHONUNBUFFERED:"1",PYTHONIOENCODING:"utf-8"},stdio:"pipe"}),i=xe(),o;r.on("error",l=>{o=l}),r.stdin.on("error",()=>{}),(0,T.createInterface)({input:r.stderr}).on("line",l=>{i.add(`${l}
`),t.log.debug(Z(l,t.secrets))}),(0,T.createInterface)({input:r.stdout}).on("line",l=>{let c=JSON.parse(l);(0,K.c)(c)&&t.onMessage(c)}),r.stdin.write(a);let s=l=>{r.stdin.write(`${JSON.stringify(l)}
`)};return s(n),{send:s,hangUp:()=>r.stdin.end(),kill:l=>{r.kill(l)},ended:new Promise(l=>{r.on("close",()=>l())}),unexpectedEnd:l=>{if(o!==void 0&&(0,w.d)(o)!==void 0)return new w.a("not_found",`The Python ${e.python} cannot be started.`,{remedy:"Name the Python that the application runs with, such as .venv/bin/python.",cause:o});let c=r.signalCode??`code ${r.exitCode}`;return new w.a("command_failed",`The application's Python ended (${c}) while ${l}.`,{details:me(Z(i.text(),t.secrets))})}}}function fe(e,n){let t=(0,K.c)(e)?e:{},a=i=>Z(typeof i=="string"?i:"",n),r=Array.isArray(t.details)?t.details.map(a):[];return new w.a(bt(t.code)?t.code:"internal",a(t.message),{remedy:a(t.remedy)||void 0,details:r})}function bt(e){return typeof e=="string"&&Object.hasOwn(O,e)}var vt=4e3,kt=5e3;async function xt(e,n,t){let a={error:null,retry:!1,unfinished:null};if(t.signal.aborted)return{...a,error:(0,w.b)("migrations were about to be run")};let r=!1,i=performance.now(),o=Ne(e,{mode:"migrate",manage:e.manage,...n},{...t,onMessage:c=>{let p=`${String(c.app)}.${String(c.name)}`;switch(c.event){case"started":a.unfinished={migration:p,operationsDone:0,operations:Number(c.operations)},t.log.progress({what:c.verb==="apply"?"applying migrations":"taking back migrations",elapsed:performance.now()-i,detail:p});break;case"operation":a.unfinished!==null&&(a.unfinished.operationsDone=Number(c.index)+1);break;case"ended":a.unfinished=null,t.log.info(`${c.verb==="apply"?"Applied":"Took back"} ${p} in ${(0,R.b)(Number(c.milliseconds))}.`);break;case"failed":a.error=fe(c.error,t.secrets),a.retry=c.retry===!0;break;case"done":r=!0;break}}}),s=[],l=()=>{o.hangUp(),s.push(setTimeout(()=>o.kill("SIGTERM"),vt)),s.push(setTimeout(()=>o.kill("SIGKILL"),kt))};return t.signal.addEventListener("abort",l),await o.ended,s.forEach(clearTimeout),t.signal.removeEventListener("abort",l),r||(a.error??=o.unexpectedEnd("migrations were being run")),a}var Et=6e4,$t=12e4,Tt=5e3;async function At(e,n,t){let a=new Map,r=Promise.withResolvers(),i=new AbortController,o,s=1,l=Ne(e,{mode:"session",manage:e.manage,database:n},{...t,onMessage:p=>{if(p.event==="ready")r.resolve(void 0);else if(p.event==="failed")o=fe(p.error,t.secrets);else if(p.event==="lock_lost")o=new w.a("lock_lost",`The migration lock was lost: ${String(p.message)}.`,{remedy:"Connect to PostgreSQL directly, not through a pooler in transaction mode."});else{let u=Number(p.id),b=a.get(u);a.delete(u),"error"in p?b?.reject(fe(p.error,t.secrets)):b?.resolve(p.result)}}});l.ended.then(()=>{let p=o??l.unexpectedEnd("it was being asked");r.reject(p);for(let u of a.values())u.reject(p);a.clear(),i.abort(p)});async function c(p,u,b,_){let d=Promise.withResolvers(),g=()=>d.reject((0,w.b)(u));_.aborted&&g(),_.addEventListener("abort",g);let m=setTimeout(()=>d.reject(new w.a("timeout",`No answer from Django in ${b/1e3} s while ${u}.`)),b);try{return await Promise.race([p,d.promise])}catch(f){throw p.catch(()=>{}),f instanceof w.a&&(f.reasonCode==="timeout"||f.reasonCode==="cancelled")&&l.kill("SIGKILL"),f}finally{clearTimeout(m),_.removeEventListener("abort",g)}}return await c(r.promise,"Django was starting",Et,t.signal),{lost:i.signal,request:async(p,u,b=$t)=>{if(i.signal.aborted)throw i.signal.reason;let _=Promise.withResolvers(),d=s++;return a.set(d,_),l.send({...p,id:d}),await c(_.promise,`asking for ${String(p.command)}`,b,u)},close:async()=>{l.hangUp();let p=setTimeout(()=>l.kill("SIGKILL"),Tt);await l.ended,clearTimeout(p)}}}var Nt=30*6e4,Ot=3e4,St=1e3,I=e=>`${e.app}.${e.name}`;function Lt(e){let{log:n}=e,t=e.database??"default",a={directory:e.directory,python:e.python,manage:e.manage??"manage.py",environment:{...e.environment,...e.settings===void 0?{}:{DJANGO_SETTINGS_MODULE:e.settings}}},r=new Set,i;async function o(d){if(i!==void 0&&!i.lost.aborted)return i;let g=(0,k.join)(a.directory,a.manage);await(0,q.access)(g).catch(f=>{throw new w.a("not_found",`There is no ${g}.`,{remedy:"Name the directory of the application's manage.py.",cause:f})}),i=await At(a,t,{log:n,secrets:r,signal:d});let m=Le(await i.request({command:"connection"},d));return r.add(m.PGPASSWORD??""),i}async function s(d,g){return await(await o(d)).request(g,d)}async function l(d){let{database:g,migrations:m,invalidIndexes:f}=await s(d,{command:"status"});return{database:g,migrations:m,invalidIndexes:f}}async function c(d,g=[]){let m=await s(d,{command:"plan",targets:g}),f=m.plan.map(v=>({...v,sqlHash:v.sql===null?null:Ct(v.sql),findings:[]})),h={hash:Dt(m.database,f),database:m.database,targets:g,migrations:f,reverse:m.reverse,invalidIndexes:m.invalidIndexes},y=we(h);return{...h,migrations:f.map(v=>({...v,findings:y.filter(C=>C.migration===I(v))}))}}async function p(d,g){let m=await l(AbortSignal.timeout(6e4)),f=new Map(m.migrations.map(h=>[I(h),h.state]));return d.migrations.map(h=>{let y={app:h.app,name:h.name},v=f.get(I(h))??"not-applied";if(h.atomic||g?.migration!==I(h))return{...y,state:v};let{operationsDone:C,operations:D}=g,A=m.invalidIndexes.filter(G=>!d.invalidIndexes.includes(G)),M=`it has no transaction: ${C} of ${D} operations are done`+(A.length>0?`; invalid indexes: ${A.join(", ")}`:"");return{...y,state:"partly",detail:M}})}async function u(d,g){let m=await o(d),f=(0,R.c)(e.lockWait??0);for(;;){let h=await m.request({command:"lock",name:e.deployment,holder:`deploy-actions ${e.holder}`},d);if(h===!0)break;if(f.passed())throw Oe(h);n.progress({what:"waiting for another migration",elapsed:f.elapsed(),remaining:f.remaining(),detail:Oe(h).message}),await(0,R.e)(Math.min(St,f.remaining()),d,"waiting for the migration lock")}try{return await g(AbortSignal.any([d,m.lost]),m)}finally{await m.request({command:"unlock"},AbortSignal.timeout(1e4)).catch(()=>{})}}async function b(d,g,m,f){let h=new Map(d.migrations.map(D=>[I(D),D.atomic])),y=0,v=0,C;for(;;){await m?.check();let D=await xt(a,{database:t,arguments:g,lockTimeout:e.lockTimeout??5e3,statementTimeout:e.statementTimeout??15*6e4},{log:n,secrets:r,signal:f}),A=D.unfinished?.migration;if(!(D.retry&&A!==void 0&&h.get(A)===!0)||f.aborted)return{outcome:D,retries:y};if(A!==C&&(v=0),C=A,v>=(e.retries??5))return{outcome:D,retries:y};let M=Math.min(Ot,(e.retryDelay??1e3)*2**v)*(.5+Math.random()/2);v+=1,y+=1,n.warning(`${A} could not get a lock in ${(0,R.b)(e.lockTimeout??5e3)}; retry ${v} of ${e.retries??5} in ${(0,R.b)(M)}.`);try{await(0,R.e)(M,f)}catch{return{outcome:D,retries:y}}}}async function _(d,g,m,f){let h=(0,R.c)(g.limit??Nt),y=AbortSignal.timeout(h.total);return await u(AbortSignal.any([g.signal,y]),async(v,C)=>{let D=await m(v,C);D.length>0&&await g.beforeWrite?.(v);let A=0;for(let M of D){if(C.lost.aborted)throw C.lost.reason;let G=await b(d,M,g.fence,v);A+=G.retries;let{error:W,unfinished:tn,retry:nn}=G.outcome;if(W===null)continue;let V=Pt(g.signal,y,C,h.total)??W,he=await p(d,tn).catch(an=>{throw new pe(V.reasonCode,`Migration stopped: ${V.message} What was applied cannot be read: ${(0,w.c)(an)}`,{states:[],details:W.details,cause:W})});throw new pe(nn&&V===W?"migration_locked":V.reasonCode,`${f(he)} ${V.message}`,{states:he,remedy:Rt(he,V),details:W.details,cause:W})}return{states:await p(d,null),retries:A,elapsed:h.elapsed()}})}return{status:l,plan:c,lint:we,apply:(d,g)=>_(d,g,async m=>{let f=await c(m,d.targets);if(f.hash!==d.hash)throw jt(d,f);return f.migrations.length===0?[]:d.targets.length===0?[[]]:d.targets.map(({app:h,name:y})=>y===void 0?[h]:[h,y])},m=>`Migration stopped with ${Se(m)}.`),reverse:(d,g)=>_(d,g,async(m,f)=>{if(!d.reverse.possible)throw new w.a("unsupported",`There is no way back: ${d.reverse.reasons.join("; ")}.`,{remedy:"Restore the backup, or migrate forward with a correction."});let{steps:h}=d.reverse,y=await f.request({command:"unapplied-by",steps:h},m),v=Array.isArray(y)?y.map(It):[],C=new Set(d.migrations.map(I)),D=v.flat().filter(A=>!C.has(A));if(D.length>0)throw new w.a("plan_changed",`Going back would also take back ${D.join(", ")}.`,{remedy:"These were applied later; take them back first."});return h.filter((A,M)=>(v[M]??[]).length>0).map(({app:A,name:M})=>[A,M])},m=>`Going back stopped with ${Se(m)}.`),verify:async(d,g)=>{let m=await s(g,{command:"plan",targets:d.targets}),f=new Map(m.migrations.map(y=>[I(y),y.state])),h=[...d.migrations.filter(y=>f.get(I(y))!=="applied").map(y=>`${I(y)} is not recorded as applied`),...m.plan.map(y=>`${I(y)} is still to be applied`),...m.invalidIndexes.filter(y=>!d.invalidIndexes.includes(y)).map(y=>`the index ${y} is invalid`)];if(h.length>0)throw new w.a("verify_failed",`The database is not as planned: ${[...new Set(h)].join("; ")}.`,{remedy:"Drop an invalid index (DROP INDEX CONCURRENTLY), make the plan again and apply it."})},connection:async d=>Le(await(await o(d)).request({command:"connection"},d)),close:async()=>{await i?.close(),i=void 0}}}function Ct(e){return(0,E.createHash)("sha256").update(e).digest("hex")}function Dt(e,n){return(0,K.b)({database:{host:e.host,port:e.port,name:e.name},migrations:n.map(({app:t,name:a,atomic:r,sqlHash:i,sourceHash:o})=>({app:t,name:a,atomic:r,sqlHash:i,sourceHash:o}))})}function jt(e,n){let t=i=>i.migrations.map(I).join(", ")||"nothing",a=({database:{host:i,port:o,name:s}})=>`${i}:${o}/${s}`,r=a(e)!==a(n)?`it was made for ${a(e)}, this is ${a(n)}`:t(e)!==t(n)?`it was to apply ${t(e)}; now it is ${t(n)}`:`the SQL or the source of its migrations has changed (${t(n)})`;return new w.a("plan_changed",`The plan is not the one that was approved: ${r}. Nothing was migrated.`,{remedy:"Make the plan again and have it approved."})}function Oe(e){let n=(0,K.c)(e)?e:{},t=n.pid,a=typeof t=="number"?`"${String(n.name)}" (user ${String(n.user)}, server process ${t}, for ${(0,R.b)(Number(n.seconds)*1e3)})`:"somebody who has just ended";return new w.a("migration_locked",`Another migration holds the lock: ${a}. Nothing was migrated.`,{remedy:"Wait for it to end. If its run is dead, end its session with pg_terminate_backend."})}function Pt(e,n,t,a){return t.lost.aborted?new w.a("lock_lost",`The migration lock was lost: ${(0,w.c)(t.lost.reason)}`):e.aborted?(0,w.b)("migrating"):n.aborted?new w.a("timeout",`The limit of ${(0,R.b)(a)} is over.`):null}function Se(e){let n=t=>e.filter(a=>a.state===t);return[`applied: ${n("applied").map(I).join(", ")||"none"}`,...n("partly").map(t=>`partly applied: ${I(t)} (${t.detail??""})`),`not applied: ${n("not-applied").map(I).join(", ")||"none"}`].join("; ")}function Rt(e,n){return e.some(t=>t.state==="partly")?"Do not run it again as it is: undo by hand what was done, or make its operations repeatable.":n.remedy??"What is applied stays applied and recorded; correct the cause and run it again."}function Le(e){let n=(0,K.c)(e)?Object.entries(e):[];return Object.fromEntries(n.filter(t=>typeof t[1]=="string"))}function It(e){return Array.isArray(e)?e.filter(n=>typeof n=="string"):[]}function Mt(e,n,t){let a=(0,P.d)(t.purpose);return(0,P.c)(n,t.title,()=>qt(e,n,{...t,purpose:a}))}async function qt(e,n,t){let{purpose:a,title:r,verdict:i}=t,o=(0,oe.g)(t.findings,n.redact),{quiet:s,pullRequest:l,headSha:c,runKey:p}=e,u=(0,P.a)(a),b=(0,P.b)(o,{purpose:a,title:r,message:i.message}).body,_=b.slice(u.length).trim(),d=t.more===void 0?b:`${b.trimEnd()}

${t.more}`;n.summary.paragraph(d.slice(u.length).trim());let g=(0,Y.a)(o),m=[g.notice].filter(h=>h!==""),f=s.check({name:r,sha:c,key:`${p}/${a}`,conclusion:i.passed?"success":"failure",title:i.passed?`${o.length} findings`:`Not passed: ${o.length} findings`,summary:[_,...m].join(`

`),annotations:g.items.flat()});await e.settle(`The check \xAB${r}\xBB`,f)===void 0&&Bt(n,o),l!==void 0&&await e.settle(`The comment \xAB${r}\xBB`,s.comment({pullRequest:l,marker:u,body:d})),t.sarif!==void 0&&await Ut(e,n,{...t,findings:o},t.sarif)}function Bt(e,n){let{items:t,notice:a}=(0,Y.b)(n);for(let{level:r,message:i,properties:o}of t)e.annotate(r==="error"?"warning":r,i,o);a!==""&&e.log.info(`Annotations: ${a}`)}async function Ut(e,n,{purpose:t,findings:a},{tool:r,targets:i}){let{facts:o,log:s}=n,l=new Map(i.map(c=>[ne(t,c),[]]));for(let c of a){let p=ne(t,c.target);l.set(p,[...l.get(p)??[],c])}for(let[c,p]of l){let u=ae({tool:{name:r,version:null,link:null},category:c,findings:p});u.notice!==""&&s.info(`Code scanning, ${c}: ${u.notice}`),await e.settle(`The analysis ${c} for code scanning`,e.quiet.sarif({gzip:u.gzip,sha:o.sha,ref:o.ref}))}}function Ce({database:e}){return{kind:"database",name:e.name,version:null}}function De({location:{file:e}},{workspace:n,directory:t}){return e===null?null:(0,k.relative)(n,(0,k.resolve)(t,e))}function Wt(e,n,t){return(0,Y.c)(n.map(a=>{let{rule:r,severity:i,migration:o,message:s,remedy:l,location:c}=a,{title:p,link:u}=ge[r],b=De(a,t);return{rule:{id:r,title:p,help:l,link:u,tags:["migration"]},severity:i==="error"?"high":"medium",message:`${s} ${l}`,target:Ce(e),subject:o===""?null:{name:o,version:null,fixedVersion:null,path:null},location:b===null?null:{file:b,startLine:c.line,endLine:c.line},context:s}}))}async function Ft(e){if(e===void 0)return{};let n=await(0,w.e)((0,q.readFile)(e,"utf8"));if(n===void 0)throw new w.a("not_found",`The environment file ${e} does not exist on this host.`,{remedy:"Correct `env-file`. Nothing was migrated."});let t=(0,J.a)(n);if("problem"in t)throw new w.a("invalid_input",`The environment file ${e}: ${t.problem}.`);return t.values}async function Gt(e,n){let t={};for(let[a,r]of Object.entries(n.environment))r!==void 0&&!/^(?:INPUT_|GITHUB_|ACTIONS_|RUNNER_|STATE_)/.test(a)&&(t[a]=r);return{...t,...await Ft(e["env-file"]),...e.env}}function Kt(e,n,t){if(e.migrator==="django")return Lt({directory:e.directory,python:e.python,...e.settings===void 0?{}:{settings:e.settings},environment:t,deployment:e.environment,holder:n.facts.runUrl||`process ${process.pid}`,lockWait:e["wait-for-other"],lockTimeout:e["lock-timeout"],statementTimeout:e["statement-timeout"],log:n.log})}function Ht(e){return(e.target??[]).map(n=>{let[t="",a]=n.split(".");return a===void 0?{app:t}:{app:t,name:a}})}function Qt(e){let{file:n,line:t}=e.location;return n===null?e.migration:`${n}${t===null?"":`:${t}`}`}function je(e){return`${Qt(e)} ${e.severity} ${e.rule}: ${e.message} ${e.remedy}`}function zt({plan:e,states:n,backup:t}){let a=(0,se.a)(),{host:r,port:i,name:o}=e.database;if(a.paragraph((0,j.c)(`Database ${o} at ${r}:${i}, plan ${e.hash}`)),e.migrations.length===0)return a.paragraph("Every migration is applied."),a.text();a.table(["Migration","In a transaction","Way back","What it does","State"],e.migrations.map(s=>[(0,j.c)(`${s.app}.${s.name}`),s.atomic?"yes":"no",s.reversible?"yes":"**no**",s.operations.map(l=>(0,j.c)(l.description)).join("<br>"),n.find(l=>l.app===s.app&&l.name===s.name)?.state??"not-applied"]));for(let s of e.migrations)a.details(`SQL of ${s.app}.${s.name}`,s.sql??s.sqlProblem??"");if(a.paragraph(e.reverse.possible?`Way back: ${e.reverse.steps.map(s=>`\`migrate ${s.app} ${s.name}\``).join(", then ")}`:`No way back: ${e.reverse.reasons.map(j.c).join("; ")}`),t!==void 0){let{file:s,bytes:l,tables:c,verified:p,sha256:u}=t;a.table(["Backup","Bytes","Tables","Verified by","SHA-256"],[[(0,j.c)(s),String(l),String(c.length),p,u]])}return a.text()}async function Yt(e,n,t){let{plan:a}=t;if(a===void 0)return;let r=zt({...t,plan:a}),i=(0,z.b)(n,e["github-token"]),{pullRequest:o}=i;if(t.findings.length===0&&o===void 0&&!e.sarif){n.summary.paragraph(r);return}let{environment:s}=e,l=Wt(a,t.findings,{workspace:n.facts.workspace,directory:e.directory});await Mt({...i,pullRequest:n.deployment===void 0?o:void 0},n,{purpose:`migrate-db-${s}`,title:`Database migration for ${s}`,findings:l,verdict:L(l,e["on-unsafe"]==="fail"?{critical:0,high:0}:{}),more:r,...e.sarif?{sarif:{tool:"migrate-db",targets:[Ce(a)]}}:{}})}function Xt(e){let n=a=>e.filter(({state:r})=>r===a).map(({app:r,name:i})=>`${r}.${i}`),t=[["applied",n("applied")],["partly applied",n("partly")],["not applied",n("not-applied")]].filter(([,a])=>a.length>0).map(([a,r])=>`${a}: ${r.join(", ")}`);return t.length===0?"":`${t.join("; ")}.`}function ee(e,n,t=[]){let{plan:a,findings:r,backup:i,states:o}=e;return{...n,outputs:{"plan-hash":a?.hash,planned:a?.migrations.length,applied:o.filter(s=>s.state==="applied").length,findings:r.length,reversible:a?.reverse.possible,"backup-file":i?.file,"backup-sha256":i?.sha256},report:{plan:a,findings:r,backup:i,states:o,details:t}}}function Vt(e,n,t){let a=e["approved-plan"],r=l=>l.replace(/^sha256:/,"");if(a!==void 0&&r(a)!==r(n.hash))return{result:"refused",reasonCode:"plan_changed",message:`The plan is ${n.hash}, but ${a} was approved; nothing was migrated.`,remedy:"Look at the new plan, approve it, and give its hash."};let[i,...o]=t.filter(l=>l.severity==="error");if(i===void 0||e["on-unsafe"]==="warn")return;let s=o.length===0?"":` And ${o.length} more.`;return{result:"refused",reasonCode:"unsafe_migration",message:`The plan is not safe while the old version serves; nothing was migrated. ${je(i)}${s}`,remedy:"Follow what each finding says, or set `on-unsafe: warn` for a maintenance window."}}async function Jt(e,n,t,a,r){let{log:i,signal:o}=n,s=await i.group("Plan",()=>t.plan(o,Ht(e))),l=t.lint(s);Object.assign(r,{plan:s,findings:l});let c=s.migrations.length;for(let{app:_,name:d}of s.migrations)i.info(`  ${_}.${d}`);for(let _ of l){let d=De(_,{workspace:n.facts.workspace,directory:e.directory});(d!==null&&(0,S.e)(d)!==null?i.info:i.warning)(je(_))}let p=Vt(e,s,l);if(p!==void 0&&!e["dry-run"])return ee(r,p);if(e["dry-run"]){let _=p===void 0?"":` It would be refused: ${p.message}`;return ee(r,{result:"planned",reasonCode:"dry_run",message:`${c} migrations would be applied, with ${l.length} findings; nothing was written.${_}`})}if(c===0)return await t.verify(s,o),ee(r,{result:"unchanged",reasonCode:"already_current",message:"Every migration is applied; there was nothing to do."});let u=await i.group("Apply",()=>t.apply(s,{signal:o,limit:e.timeout,async beforeWrite(_){if(e.backup==="none")return;r.backup=await ct({connection:await t.connection(_),directory:e["backup-directory"],...e["postgres-bin"]===void 0?{}:{postgresBin:e["postgres-bin"]},environment:a,verify:e.backup,log:i,signal:_});let{file:d,bytes:g,tables:m,verified:f}=r.backup;i.info(`Backup ${d}: ${g} bytes, ${m.length} tables, verified by ${f}.`)}}));r.states=u.states,await t.verify(s,o);let b=r.backup===void 0?"":`; the backup is ${r.backup.file}`;return ee(r,{result:"succeeded",reasonCode:"ok",message:`${c} migrations were applied and verified in ${(0,R.b)(u.elapsed)}${b}.`})}async function Zt(e,n,t,a){let r=Kt(e,n,t);try{return await Jt(e,n,r,t,a)}catch(i){if(!(i instanceof pe))throw i;a.states=i.states;for(let{app:o,name:s,state:l,detail:c}of a.states)n.log.info(`  ${o}.${s}: ${l}${c===void 0?"":` (${c})`}`);return ee(a,{result:i.reasonCode==="cancelled"?"cancelled":"failed",reasonCode:i.reasonCode,message:`${i.message} ${Xt(a.states)}`,remedy:i.remedy},i.details)}finally{await r.close()}}async function en(e,n){let t=await Gt(e,n);for(let i of(0,J.b)(t))n.mask(i);let a={findings:[],states:[]},r=await Zt(e,n,t,a);return await Yt(e,n,a),r}})};export{rn as id,on as ids,sn as modules};
