const mn=982,un=[982],fn={8982:((pn,Z,$)=>{$.r(Z),$.d(Z,{run:()=>sn});var k=$(9332),Ae=$(8626),Se=$(4547),ee=$(6736),E=$(2681),I=$(8975),te=$(7446),L=$(420),v=$(6506),D=$(1455),Le=$(8522),ne=$(1421),G=$(7598),Oe=$(3024),q=$(6760),H=$(481),Ce={ok:"The action did what was asked.",already_current:"What was asked for was already so; nothing was written.",dry_run:"Only the plan was made, because `dry-run` is true.",invalid_input:"One or more inputs are missing or not allowed; nothing was touched.",invalid_config:"deploy.yml cannot be read or says something that is not allowed; nothing was touched.",unsupported:"The platform or router does not have a capability that was asked for.",not_found:"A file, program, release or service that was named does not exist.",version_not_found:"The release to go back to does not exist or is no longer kept.",permission_denied:"A right that is needed is missing.",unreachable:"A host, socket or API could not be reached.",lock_held:"Another run holds the lease of this environment.",lock_lost:"The lease was taken over by another run; this run wrote nothing after that.",environment_frozen:"The environment is frozen; nothing was written.",state_conflict:"What is there changed while it was being read, and the intent no longer held.",state_too_new:"The state was written by a newer version of the suite.",state_corrupt:"The stored state cannot be read.",checks_not_green:"A check that the commit has to pass failed, or was not there in time; nothing was touched.",start_failed:"The new version could not be started or ended by itself.",not_ready:"The new version did not become ready in time.",unhealthy:"A health check did not pass in time.",router_rejected:"The router refused the new configuration.",router_unverified:"The router was written to, but the data plane did not follow in time.",drain_timeout:"Requests were still in flight when the time to drain was over.",limit_exceeded:"A metric was beyond its limit.",insufficient_data:"There were too few requests, or no usable data, to reach a verdict.",metrics_unavailable:"The metric source failed or answered nonsense.",migration_failed:"A migration failed; the report says what was applied.",migration_locked:"Another migration is running, or a table lock could not be had in time.",unsafe_migration:"A migration would break the version that serves, lose data or block a table.",plan_changed:"The plan is not the one that was approved.",backup_failed:"The backup could not be made or verified; nothing was migrated.",verify_failed:"The state after the change is not what the plan said.",resumed:"An unfinished release of an earlier run was found and finished.",reverted:"The release was taken back; the previous version serves.",revert_failed:"The release could not be taken back completely; the report says what is left.",unfinished_release:"An unfinished release of another version has to be settled first.",cancelled:"The run was cancelled.",timeout:"The time allowed was over.",command_failed:"A command ended with an error.",internal:"An error of the suite itself; please report it."},P={batch:50,total:500,title:255,messageBytes:64*1024,commandsPerLevel:10},ae={critical:"failure",high:"failure",medium:"warning",low:"notice",unknown:"notice"};function je(e,a=P.total){let{placed:t,elsewhere:n}=re(e),r=t.slice(0,a).map(ie),i=[];for(let o=0;o<r.length;o+=P.batch)i.push(r.slice(o,o+P.batch));return{items:i,elsewhere:n,...oe(t,r.length)}}function De(e){let{placed:a,elsewhere:t}=re(e),n={failure:0,warning:0,notice:0},r=[],i=[];for(let o of a){let s=ae[o.finding.severity];n[s]+=1,(n[s]<=P.commandsPerLevel?r:i).push(o)}return{items:r.map(o=>{let{path:s,start_line:l,end_line:c,annotation_level:p,title:u,message:_}=ie(o);return{level:p==="failure"?"error":p,message:_,properties:{file:s,startLine:l,endLine:c,title:u}}}),elsewhere:t,...oe([...r,...i],r.length)}}function re(e){let a=(0,k.g)(e).flatMap(t=>{let n=t.location===null?null:(0,k.d)(t.location.file);return n===null?[]:[{finding:t,path:n,lines:(0,k.e)(t.location)}]});return{placed:a,elsewhere:e.length-a.length}}function ie({finding:e,path:a,lines:t}){let{rule:n,severity:r}=e,i=(0,k.l)((0,E.a)([n.help,n.link??""].join(`
`).trim()),P.messageBytes);return{path:(0,E.a)(a),start_line:t.start,end_line:t.end,annotation_level:ae[r],title:(0,k.k)((0,E.a)(`${r} ${n.id}: ${n.title}`).replaceAll(`
`," "),P.title),message:(0,k.l)((0,E.a)(e.message.trim()||n.title.trim()||n.id),P.messageBytes),...i===""?{}:{raw_details:i}}}function oe(e,a){let t=(0,k.h)(e.map(({finding:n})=>n),a);return{cut:t,notice:(0,k.i)(t,e.length)}}function Re(e){let a=new Map;for(let[n,r]of e.entries()){let i=Pe(r),o=a.get(i);o===void 0?a.set(i,[{draft:r,index:n}]):o.push({draft:r,index:n})}let t=[];for(let[n,r]of a){r.sort((i,o)=>qe(i.draft,o.draft));for(let[i,{draft:o,index:s}]of r.entries())t[s]={...o,fingerprint:`${n}:${i+1}`,known:null}}return t}function Pe({rule:e,target:a,subject:t,location:n,context:r}){let i=[e.id,a.kind,a.name,t?.name??null,t?.path??null,n?.file??null,r===null?null:Ie(r)];return(0,I.b)(i).slice(7,39)}function Ie(e){return e.normalize("NFC").replace(/\s+/g," ").trim()}function qe(e,a){return(e.location?.startLine??0)-(a.location?.startLine??0)||(0,k.j)(e.subject?.version??"",a.subject?.version??"")||(0,k.j)(e.message,a.message)}function Me(e,a,t={}){let n=(0,k.b)(),r=(0,k.b)();for(let o of e){let s=t.onlyNew===!0&&o.known===!0;(s?r:n)[o.severity]+=1}let i=k.a.flatMap(o=>{let s=a[o];return s!==void 0&&n[o]>s?[{severity:o,count:n[o],limit:s}]:[]});return{passed:i.length===0,counts:n,known:r,exceeded:i,message:Be(n,r,a,t.onlyNew===!0)}}function Be(e,a,t,n){let r=k.a.filter(u=>t[u]!==void 0),i=r.filter(u=>e[u]>t[u]),o=`${n?"new findings":"findings"}: ${(0,k.c)(e)}`,s=u=>`${e[u]} ${u} where ${t[u]} ${t[u]===1?"is":"are"} allowed`,l=r.length===0?"no limit is set":`allowed: ${r.map(u=>`${t[u]} ${u}`).join(", ")}`,c=i.length>0?`Too many ${n?"new ":""}findings: ${i.map(s).join(", ")}. All ${o}.`:`Within the limits; ${o} (${l}).`,p=(0,k.c)(a);return p==="none"?c:`${c} Known before and not counted: ${p}.`}var M={results:5e3,gzipBytes:1e7,tags:10,description:1024,message:4096,help:16384};function se(e,{kind:a,name:t}){return`${e}/${a}/${t}`}function Ue(e,a={}){let{results:t,gzipBytes:n}={...M,...a},r=(0,k.g)(e.findings),i=Math.min(r.length,t);for(;;){let o=(0,k.h)(r,i),s=(0,k.i)(o,r.length),l=JSON.stringify(Fe(e,r.slice(0,i),s)),c=(0,Le.gzipSync)(l);if(c.length<=n||i===0)return{category:e.category,text:l,gzip:c,cut:o,notice:s};i=Math.min(i-1,Math.floor(i*n/c.length*.97))}}function Fe({tool:e,category:a},t,n){let r=new Map,i=t.map(o=>{let s=r.get(o.rule.id);return s===void 0&&(s={descriptor:Ke(o),index:r.size},r.set(o.rule.id,s)),He(o,s.index)});return{$schema:"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",version:"2.1.0",runs:[{tool:{driver:{name:B(e.name,255,"deploy-actions"),...e.version===null?{}:{version:B(e.version,255,"0")},...(0,k.f)(e.link)?{informationUri:e.link}:{},rules:Array.from(r.values(),({descriptor:o})=>o)}},automationDetails:{id:`${(0,E.a)(a)}/`},invocations:[{executionSuccessful:!0,...n===""?{}:{toolExecutionNotifications:[{descriptor:{id:"findings-cut"},level:"warning",message:{text:n}}]}}],originalUriBaseIds:{[le]:{description:{text:"The root of the repository."}}},columnKind:"utf16CodeUnits",results:i}]}}var le="%SRCROOT%",Q={critical:"error",high:"error",medium:"warning",low:"note",unknown:"note"},We={critical:"9.5",high:"8.0",medium:"5.5",low:"2.0",unknown:"0.0"},Ge={error:"error",warning:"warning",note:"recommendation"};function Ke({rule:e,severity:a}){let t=B(e.title,M.description,e.id),n=B(e.help,M.help,t),r=(0,k.f)(e.link)?e.link:null,i=[...new Set(e.tags.map(E.a))].slice(0,M.tags);return{id:(0,E.a)(e.id),shortDescription:{text:t},fullDescription:{text:(0,k.k)(n,M.description)},...r===null?{}:{helpUri:r},help:{text:r===null?n:`${n}
${r}`,markdown:r===null?(0,E.c)(n):`${(0,E.c)(n)}

<${r}>`},defaultConfiguration:{level:Q[a]},properties:{tags:i,precision:"very-high",...e.tags.includes("security")?{"security-severity":We[a]}:{"problem.severity":Ge[Q[a]]}}}}function He(e,a){let{rule:t,severity:n,target:r,location:i,fingerprint:o,known:s}=e,l=i===null?null:(0,k.d)(i.file),{start:c,end:p}=i===null||l===null?{start:1,end:1}:(0,k.e)(i);return{ruleId:(0,E.a)(t.id),ruleIndex:a,level:Q[n],message:{text:Qe(B(e.message,M.message,B(t.title,1024,t.id)))},locations:[{physicalLocation:{artifactLocation:{uri:ze(l??r.name),uriBaseId:le},region:{startLine:c,endLine:p}}}],partialFingerprints:{primaryLocationLineHash:o},...s===null?{}:{baselineState:s?"unchanged":"new"}}}function B(e,a,t){let n=(0,k.k)((0,E.a)(e).trim(),a);return n===""?(0,E.a)(t):n}function Qe(e){return e.replaceAll("](","] (")}function ze(e){let a=e.toWellFormed().split("/").filter(t=>!["",".",".."].includes(t));return a.length===0?"unnamed":a.map(encodeURIComponent).join("/")}var z=class extends v.a{states;constructor(e,a,t){super(e,a,t),this.name="MigrationError",this.states=t.states}},de={"drop-table":{severity:"error",title:"A table is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/sql-droptable.html"},"drop-column":{severity:"error",title:"A column is dropped",remedy:"Remove it from the code in one release and drop it in a later one.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"drop-database":{severity:"error",title:"A database or schema is dropped",remedy:"Do not drop a database or schema in a migration.",link:"https://www.postgresql.org/docs/current/sql-dropschema.html"},rename:{severity:"error",title:"A name that old code uses is changed",remedy:"Add the new name, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/ddl-alter.html"},"add-not-null":{severity:"error",title:"A column is added that old code does not fill",remedy:"Add it nullable, or with a default of the database (db_default), which Django keeps.",link:"https://docs.djangoproject.com/en/stable/ref/models/fields/#db-default"},"set-not-null":{severity:"error",title:"A column becomes NOT NULL under a lock",remedy:"Add CHECK (\u2026 IS NOT NULL) NOT VALID, VALIDATE it in another migration, then set NOT NULL.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"change-type":{severity:"error",title:"The type of a column is changed",remedy:"Add a new column, write both, backfill, and drop the old one in a later release.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"index-blocks":{severity:"error",title:"Building or dropping an index blocks writes",remedy:"Use AddIndexConcurrently or RemoveIndexConcurrently in a migration with atomic = False.",link:"https://docs.djangoproject.com/en/stable/ref/contrib/postgres/operations/#concurrent-index-operations"},"constraint-blocks":{severity:"error",title:"Adding a constraint blocks writes",remedy:"Build a unique index concurrently and add the constraint USING INDEX; add others NOT VALID and VALIDATE later.",link:"https://www.postgresql.org/docs/current/sql-altertable.html"},"concurrently-in-transaction":{severity:"error",title:"CONCURRENTLY stands in a transaction",remedy:"Set atomic = False in the migration.",link:"https://docs.djangoproject.com/en/stable/howto/writing-migrations/#non-atomic-migrations"},truncate:{severity:"error",title:"A table is emptied",remedy:"Empty a table outside of a release, after a backup.",link:"https://www.postgresql.org/docs/current/sql-truncate.html"},cascade:{severity:"error",title:"CASCADE drops what depends on it",remedy:"Drop what depends on it by name, so that nothing else goes with it.",link:"https://www.postgresql.org/docs/current/ddl-depend.html"},"irreversible-code":{severity:"warning",title:"Code has no way back",remedy:"Give RunPython a reverse_code; RunPython.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runpython"},"irreversible-sql":{severity:"warning",title:"SQL has no way back",remedy:"Give RunSQL a reverse_sql; RunSQL.noop when nothing is to be undone.",link:"https://docs.djangoproject.com/en/stable/ref/migration-operations/#runsql"},irreversible:{severity:"warning",title:"An operation has no way back",remedy:"Make the operation reversible, or be sure to have a backup.",link:"https://docs.djangoproject.com/en/stable/topics/migrations/#reversing-migrations"},"unknown-sql":{severity:"warning",title:"SQL that is not known is not checked",remedy:"Apply what comes before it first, and plan again to see its SQL.",link:"https://docs.djangoproject.com/en/stable/ref/django-admin/#sqlmigrate"},"invalid-index":{severity:"warning",title:"An index is left invalid",remedy:"Drop it with DROP INDEX CONCURRENTLY and build it again.",link:"https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"}},Ve=/\s+/y,Ye=/--[^\n]*/y,Xe=/[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y,Je=/(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y,Ze=/(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y,et=/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y,tt=/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;function ce(e){let a=[],t=[],n=0,r=0,i=s=>{s.lastIndex=r;let l=s.exec(e)?.[0];return l!==void 0&&(r+=l.length),l},o=(s,l)=>t.push({kind:s,text:l,depth:n});for(;r<e.length;){if(i(Ve)!==void 0||i(Ye)!==void 0)continue;if(e.startsWith("/*",r)){r=nt(e,r);continue}let s=i(Xe)??i(Je);if(s!==void 0){o("string",s);continue}let l=i(Ze);if(l!==void 0){o("name",l.slice(l.indexOf('"')+1,-1).replaceAll('""','"'));continue}let c=i(et);if(c!==void 0){let _=e.indexOf(c,r),w=_<0?e.length:_+c.length;o("string",e.slice(r-c.length,w)),r=w;continue}let p=i(tt);if(p!==void 0){o("word",p.toLowerCase());continue}let u=String.fromCodePoint(e.codePointAt(r)??0);if(r+=u.length,u===";"&&n===0&&!at(t)){a.push(t),t=[];continue}u===")"&&(n=Math.max(0,n-1)),o("symbol",u),u==="("&&(n+=1)}return a.push(t),a.filter(s=>s.length>0)}function nt(e,a){let t=/\/\*|\*\//g;t.lastIndex=a;let n=0;for(let r=t.exec(e);r!==null;r=t.exec(e))if(n+=r[0]==="/*"?1:-1,n===0)return t.lastIndex;return e.length}function at(e){if(e[0]?.text!=="create")return!1;let a=e.filter(n=>n.kind==="word").map(n=>n.text),t=a.findIndex((n,r)=>n==="begin"&&a[r+1]==="atomic");return t<0?!1:a.slice(t).filter(n=>n==="begin"||n==="case").length>a.slice(t).filter(n=>n==="end").length}var K=class{tokens;position=0;constructor(e){this.tokens=e}accept(...e){let a=e.every((t,n)=>{let r=this.tokens[this.position+n];return r?.kind==="word"&&r.text===t});return a&&(this.position+=e.length),a}acceptSymbol(e){let a=this.tokens[this.position];return a?.kind!=="symbol"||a.text!==e?!1:(this.position+=1,!0)}name(){let e=[this.identifier()];for(;this.acceptSymbol(".");)e.push(this.identifier());return(e[0]==="public"&&e.length>1?e.slice(1):e).join(".")}identifier(){let e=this.tokens[this.position];return e===void 0||e.kind!=="word"&&e.kind!=="name"?"":(this.position+=1,e.text)}peek(){return this.tokens[this.position]?.text??""}rest(){return this.tokens.slice(this.position)}};function O(e,...a){let t=e[0]?.depth??0,n=e.filter(r=>r.depth===t);return n.some((r,i)=>a.every((o,s)=>{let l=n[i+s];return l?.kind==="word"&&l.text===o}))}function pe(e){let a=e[0]?.depth??0,t=[[]];for(let n of e)n.kind==="symbol"&&n.text===","&&n.depth===a?t.push([]):t.at(-1)?.push(n);return t}function me(e){let a=new Set,t=e.migrations.flatMap(r=>rt(r,a)),n=e.invalidIndexes.map(r=>ue("invalid-index","",null,null,`The index ${r} is invalid: an earlier concurrent build failed.`));return[...t,...n]}function ue(e,a,t,n,r){let{severity:i,remedy:o}=de[e];return{rule:e,severity:i,migration:a,message:r,remedy:o,location:{file:t,line:n}}}function rt(e,a){let t=[],n=i=>(o,s)=>t.push(ue(o,`${e.app}.${e.name}`,e.file,i,s)),r=new Map;for(let i of e.operations){let o=n(i.line);if(!i.reversible){let s=i.kind==="RunPython"?"irreversible-code":i.kind==="RunSQL"?"irreversible-sql":"irreversible";o(s,`${i.kind} cannot be taken back: ${i.description}.`)}for(let s of ce(i.sql))fe(s,{migration:e,operation:i,made:a,added:r,report:o})}for(let i of ce(e.deferredSql))fe(i,{migration:e,operation:null,made:a,added:r,report:n(null)});for(let{column:i,table:o,hasDefault:s,report:l}of r.values())s||l("add-not-null",`Column ${i} of ${o} is added NOT NULL and keeps no default: INSERTs of old code fail.`);return e.sql===null&&n(null)("unknown-sql",`Its SQL is not known and not checked: ${e.sqlProblem??""}`),t}function fe(e,a){let{migration:t,made:n,report:r}=a,i=new K(e);t.atomic&&ge(e)&&r("concurrently-in-transaction","CONCURRENTLY fails inside the transaction of the migration."),i.accept("create")?it(i,n,r):i.accept("alter","table")?lt(i,a):i.accept("alter")?st(i,r):i.accept("drop")?ot(i,n,r):i.accept("truncate")?(i.accept("table"),i.accept("only"),r("truncate",`TRUNCATE empties ${i.name()}.`)):i.accept("reindex")&&!ge(e)&&r("index-blocks","REINDEX without CONCURRENTLY blocks reads and writes.")}function ge(e){let a=e.slice(0,6).filter(t=>t.kind==="word"&&t.depth===0);return["create","drop","reindex","refresh"].includes(a[0]?.text??"")&&a.some(t=>t.text==="concurrently")}function it(e,a,t){for(let o of["global","local","temporary","temp","unlogged","unique"])e.accept(o);if(e.accept("table")){e.accept("if","not","exists"),a.add(e.name());return}if(!e.accept("index"))return;let n=e.accept("concurrently");e.accept("if","not","exists");let r=e.peek()==="on"?"An index":`Index ${e.name()}`;e.accept("on"),e.accept("only");let i=e.name();!n&&!a.has(i)&&t("index-blocks",`${r} on ${i} is built without CONCURRENTLY: writes wait until it is done.`)}function ot(e,a,t){let n=O(e.rest(),"cascade");if(e.accept("database")||e.accept("schema")){e.accept("if","exists"),t("drop-database",`${e.name()} is dropped with all that is in it.`);return}if(e.accept("table")||e.accept("view")||e.accept("materialized","view")){e.accept("if","exists");for(let r of pe(e.rest())){let i=new K(r).name();a.has(i)||t("drop-table",`${i} is dropped: old code still reads it, and its data is gone.`)}return}!e.accept("index","concurrently")&&e.accept("index")&&(e.accept("if","exists"),t("index-blocks",`Index ${e.name()} is dropped without CONCURRENTLY: reads and writes wait for its lock.`)),n&&t("cascade","CASCADE also drops whatever depends on it.")}function st(e,a){let t=e.peek(),n=e.rest();["type","view","materialized","domain","schema"].includes(t)&&O(n,"rename")&&!O(n,"rename","constraint")&&a("rename",`ALTER ${t.toUpperCase()} renames: one of two live versions does not know the name.`)}function lt(e,a){let{made:t}=a;e.accept("if","exists"),e.accept("only");let n=e.name();if(e.acceptSymbol("*"),t.has(n)){e.accept("rename","to")&&t.add(e.name());return}for(let r of pe(e.rest()))pt(new K(r),n,a)}var dt=["constraint","primary","unique","foreign","check","exclude"],ct=["serial","bigserial","smallserial","serial4","serial8","serial2"];function pt(e,a,t){let{report:n,added:r}=t;if(e.accept("rename")){if(e.accept("constraint"))return;let s=e.accept("to")?a:(e.accept("column"),`column ${e.name()} of ${a}`);n("rename",`${gt(s)} is renamed: one of two live versions does not know the name.`);return}if(e.accept("drop")){if(e.accept("constraint")){O(e.rest(),"cascade")&&n("cascade","CASCADE also drops whatever depends on it.");return}e.accept("column"),e.accept("if","exists"),n("drop-column",`Column ${e.name()} of ${a} is dropped: old code still names it, and its data is gone.`);return}if(e.accept("add")){dt.includes(e.peek())?ut(e.rest(),a,n):mt(e,a,t);return}if(!e.accept("alter")||e.peek()==="constraint")return;e.accept("column");let i=e.name(),o=r.get(`${a}.${i}`);if(e.accept("set","not","null"))n("set-not-null",`Column ${i} of ${a} becomes NOT NULL: the table is scanned under an exclusive lock, and NULLs of old code fail.`);else if(e.accept("drop","default"))o!==void 0&&(o.hasDefault=!1);else if(e.accept("set","default"))o!==void 0&&(o.hasDefault=!0);else if(e.accept("type")||e.accept("set","data","type")){let s=t.operation?.alters,l=s?.table===a&&s.column===i?s:void 0;if(l!==void 0&&ft(l.from,l.to))return;let c=l===void 0?"":` from ${l.from} to ${l.to}`;n("change-type",`Column ${i} of ${a} changes its type${c}: the table may be rewritten under an exclusive lock.`)}}function mt(e,a,t){e.accept("column"),e.accept("if","not","exists");let n=e.name(),r=e.rest();if((O(r,"unique")||O(r,"primary","key"))&&t.report("constraint-blocks",`Column ${n} of ${a} is added with a unique index, which blocks the table while it is built.`),!O(r,"not","null")&&!O(r,"primary","key"))return;let i=r[0]?.text??"",o=O(r,"default")||O(r,"generated")||ct.includes(i);t.added.set(`${a}.${n}`,{column:n,table:a,hasDefault:o,report:t.report})}function ut(e,a,t){let n=new K(e),r=n.accept("constraint")?`Constraint ${n.name()}`:"A constraint",i=n.rest();O(i,"using","index")||(["unique","primary","exclude"].includes(n.peek())?t("constraint-blocks",`${r} on ${a} builds its index while the table is blocked, and duplicates of old code fail.`):["foreign","check"].includes(n.peek())&&!O(i,"not","valid")&&t("constraint-blocks",`${r} on ${a} is checked against every row while the table is locked.`))}function ft(e,a){let t=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(e),n=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(a);return t===null?!1:a==="text"||a==="varchar"?t[1]!=="numeric":n===null||t[1]==="numeric"!=(n[1]==="numeric")?!1:Number(n[2])>=Number(t[2])&&(n[3]??"0")===(t[3]??"0")}function gt(e){return e.startsWith("column")?`C${e.slice(1)}`:`Table ${e}`}function he(e=262144){let a="";return{add:t=>{a=(a+t).slice(-e)},text:()=>a}}function V(e,a=15){return e.trimEnd().split(`
`).slice(-a).filter(Boolean)}function F(e,a){let t=e.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g,"$1:***@");for(let n of a)n!==""&&(t=t.replaceAll(n,"***"));return t}var ht=64*2**20,Y=`
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`,we=`SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  ${Y} ORDER BY 1 \\gexec
`;async function wt(e){let a=(0,L.c)(e.limit??36e5),t=[e.connection.PGPASSWORD??""],n={...e.environment,...e.connection,LC_MESSAGES:"C"},r=await _t(e),i=m=>{e.log.progress({what:m,elapsed:a.elapsed(),remaining:a.remaining()})};async function o(m,f,g,y){let b=await(0,ee.b)({command:[r[m],...f],env:y===void 0?n:{...n,PGDATABASE:y},...g===void 0?{}:{input:g},signal:e.signal,timeout:Math.max(1,a.remaining()),keep:ht});if(b.code===0)return b.stdout;let T=V(F(b.stderr,t));throw C(`${m} ended with ${b.signal??`code ${b.code}`}: ${T.at(-1)??"no message"}`,{details:T})}let s=async(m,f)=>(await o("psql",["-XAtq","-v","ON_ERROR_STOP=1","-f","-"],m,f)).trimEnd();i("reading the size of the database");let[l="",c="",p=""]=(await s(`SELECT current_setting('server_version_num'), coalesce(sum(pg_table_size(c.oid)), 0), current_database()
      ${Y}`)).split("|");await bt(await o("pg_dump",["--version"]),Number(l)),await(0,D.mkdir)(e.directory,{recursive:!0}),await vt(e.directory,e.requiredBytes??Number(c));let u=e.name??`${$t(p)}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g,"")}.dump`,_=(0,q.join)(e.directory,u),w=`${_}.partial`,d=await kt(r.psql,n,t,e.signal);try{await(await(0,D.open)(w,"wx",384)).close(),i("dumping the database"),await o("pg_dump",["-Fc","--no-password","--lock-wait-timeout=30s",`--snapshot=${d.id}`,"-f",w]);let{size:m}=await(0,D.stat)(w);if(m===0)throw C("pg_dump wrote an empty file.");i("verifying the dump");let f=_e(await d.query(`SELECT n.nspname || ' ' || c.relname ${Y} ORDER BY 1;
`)),g=await o("pg_restore",["--list",w]),y=f.filter(x=>!g.includes(` TABLE DATA ${x} `));if(y.length>0)throw C(`The dump lacks the tables ${y.join(", ")}.`);await o("pg_restore",["--file=/dev/null",w]);let b=null;if(e.verify==="restore"){i("restoring the dump into a scratch database");let x=ye(await d.query(we));b=await h(w,`deploy_actions_verify_${(0,G.randomBytes)(6).toString("hex")}`);let S=Object.keys(x).filter(R=>x[R]!==b?.[R]);if(S.length>0){let R=S.map(j=>`${j} (${x[j]} rows, restored ${b?.[j]??"none"})`);throw C(`The restored dump differs: ${R.join(", ")}.`)}}let T=await xt(w);await(0,D.rename)(w,_);let N=f.map(x=>x.replace(" ","."));return{file:_,bytes:m,sha256:T,tables:N,rows:b,verified:e.verify,elapsed:a.elapsed()}}catch(m){throw await(0,D.rm)(w,{force:!0}),yt(m,a.total)}finally{await d.release()}async function h(m,f){try{await s(`SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', '${f}',
           pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database() \\gexec
`)}catch(g){throw C(`No scratch database can be made to restore into: ${(0,v.c)(g)}`,{remedy:"Give the database user CREATEDB, or verify the dump without restoring it.",cause:g})}try{return await o("pg_restore",["--no-owner","--no-privileges","--exit-on-error","-d",f,m]),ye(await s(we,f))}finally{await(0,ee.b)({command:[r.psql,"-XAtqc",`DROP DATABASE IF EXISTS ${f}`],env:n,signal:new AbortController().signal,timeout:15e3}).then(({code:g})=>{g!==0&&e.log.warning(`The scratch database ${f} could not be dropped; drop it by hand.`)},g=>e.log.warning(`The scratch database ${f} is left: ${(0,v.c)(g)}`))}}}function C(e,a={}){return new v.a("backup_failed",`${e} Nothing was migrated.`,a)}function yt(e,a){return e instanceof v.a?e.reasonCode==="timeout"?C(`The backup did not end within ${(0,L.b)(a)}.`,{cause:e}):e:C((0,v.c)(e),{cause:e})}async function _t(e){let a=e.postgresBin===void 0?(e.environment.PATH??"").split(q.delimiter).filter(Boolean):[e.postgresBin],t=async n=>{for(let r of a){let i=(0,q.join)(r,n);if(await(0,D.access)(i,D.constants.X_OK).then(()=>!0,()=>!1))return i}throw C(`${n} is not ${e.postgresBin===void 0?"on PATH":`in ${e.postgresBin}`}.`,{remedy:"Install the client programs of PostgreSQL, of the server\u2019s version or later, or name their folder."})};return{pg_dump:await t("pg_dump"),pg_restore:await t("pg_restore"),psql:await t("psql")}}async function bt(e,a){let t=Number(/\(PostgreSQL\) (\d+)/.exec(e)?.[1]),n=Math.floor(a/1e4);if(!(t>=n))throw C(`pg_dump is version ${t||e.trim()}, older than the server, version ${n}: it refuses to dump.`,{remedy:`Install the client programs of PostgreSQL ${n} or later, or name their folder.`})}async function vt(e,a){let{bavail:t,bsize:n}=await(0,D.statfs)(e),r=t*n;if(!(r>=a))throw C(`${e} has ${be(r)} free; the dump may take ${be(a)}.`,{remedy:"Free some space, or name another folder for the backup."})}async function kt(e,a,t,n){let r=(0,ne.spawn)(e,["-XAtq","-v","ON_ERROR_STOP=1"],{env:a,stdio:"pipe"}),i=he();r.stderr.setEncoding("utf8").on("data",i.add),r.stdin.on("error",()=>{});let o=(0,H.createInterface)({input:r.stdout}),s=Promise.withResolvers();s.promise.catch(()=>{});let l=new Promise(u=>{r.on("error",_=>s.reject(C((0,v.c)(_),{cause:_}))),r.on("close",()=>{let _=V(F(i.text(),t)).at(-1)??"it ended";s.reject(n.aborted?(0,v.b)("dumping the database"):C(`psql lost its snapshot: ${_}`)),u()})}),c=()=>{r.kill("SIGTERM")};n.addEventListener("abort",c);async function p(u){let _=`end-${(0,G.randomBytes)(8).toString("hex")}`,w=[],d=Promise.withResolvers(),h=m=>{m===_?d.resolve(w.join(`
`)):w.push(m)};o.on("line",h),r.stdin.write(`${u}\\echo ${_}
`);try{return await Promise.race([d.promise,s.promise])}finally{o.off("line",h)}}return{id:await p(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();
`),query:p,release:async()=>{n.removeEventListener("abort",c),r.stdin.end(),await l}}}function ye(e){return Object.fromEntries(_e(e).map(a=>{let t=a.lastIndexOf("|");return[a.slice(0,t),Number(a.slice(t+1))]}))}function _e(e){return e.split(`
`).filter(Boolean)}async function xt(e){let a=(0,G.createHash)("sha256");for await(let t of(0,Oe.createReadStream)(e))a.update(t);return a.digest("hex")}function $t(e){return e.replaceAll(/[^\w.-]/g,"_")}function be(e){return`${(e/2**20).toFixed(1)} MiB`}function Et(){return`"""Answers about, and runs, the migrations of a Django project, from inside the project's own Python.

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
`}function Tt(e){let a=Buffer.byteLength(e);return["-c",["import os","program = b''",`while len(program) < ${a}:`,`    part = os.read(0, ${a} - len(program))`,"    if not part: os._exit(1)","    program += part","exec(compile(program, 'deploy-actions helper.py', 'exec'))"].join(`
`)]}function ve(e,a,t){let n=Et(),r=(0,ne.spawn)(e.python,Tt(n),{cwd:e.directory,env:{...e.environment,PYTHONUNBUFFERED:"1",PYTHONIOENCODING:"utf-8"},stdio:"pipe"}),i=he(),o;r.on("error",l=>{o=l}),r.stdin.on("error",()=>{}),(0,H.createInterface)({input:r.stderr}).on("line",l=>{i.add(`${l}
`),t.log.debug(F(l,t.secrets))}),(0,H.createInterface)({input:r.stdout}).on("line",l=>{let c=JSON.parse(l);(0,I.c)(c)&&t.onMessage(c)}),r.stdin.write(n);let s=l=>{r.stdin.write(`${JSON.stringify(l)}
`)};return s(a),{send:s,hangUp:()=>r.stdin.end(),kill:l=>{r.kill(l)},ended:new Promise(l=>{r.on("close",()=>l())}),unexpectedEnd:l=>{if(o!==void 0&&(0,v.d)(o)!==void 0)return new v.a("not_found",`The Python ${e.python} cannot be started.`,{remedy:"Name the Python that the application runs with, such as .venv/bin/python.",cause:o});let c=r.signalCode??`code ${r.exitCode}`;return new v.a("command_failed",`The application's Python ended (${c}) while ${l}.`,{details:V(F(i.text(),t.secrets))})}}}function X(e,a){let t=(0,I.c)(e)?e:{},n=i=>F(typeof i=="string"?i:"",a),r=Array.isArray(t.details)?t.details.map(n):[];return new v.a(Nt(t.code)?t.code:"internal",n(t.message),{remedy:n(t.remedy)||void 0,details:r})}function Nt(e){return typeof e=="string"&&Object.hasOwn(Ce,e)}var At=4e3,St=5e3;async function Lt(e,a,t){let n={error:null,retry:!1,unfinished:null};if(t.signal.aborted)return{...n,error:(0,v.b)("migrations were about to be run")};let r=!1,i=performance.now(),o=ve(e,{mode:"migrate",manage:e.manage,...a},{...t,onMessage:c=>{let p=`${String(c.app)}.${String(c.name)}`;switch(c.event){case"started":n.unfinished={migration:p,operationsDone:0,operations:Number(c.operations)},t.log.progress({what:c.verb==="apply"?"applying migrations":"taking back migrations",elapsed:performance.now()-i,detail:p});break;case"operation":n.unfinished!==null&&(n.unfinished.operationsDone=Number(c.index)+1);break;case"ended":n.unfinished=null,t.log.info(`${c.verb==="apply"?"Applied":"Took back"} ${p} in ${(0,L.b)(Number(c.milliseconds))}.`);break;case"failed":n.error=X(c.error,t.secrets),n.retry=c.retry===!0;break;case"done":r=!0;break}}}),s=[],l=()=>{o.hangUp(),s.push(setTimeout(()=>o.kill("SIGTERM"),At)),s.push(setTimeout(()=>o.kill("SIGKILL"),St))};return t.signal.addEventListener("abort",l),await o.ended,s.forEach(clearTimeout),t.signal.removeEventListener("abort",l),r||(n.error??=o.unexpectedEnd("migrations were being run")),n}var Ot=6e4,Ct=12e4,jt=5e3;async function Dt(e,a,t){let n=new Map,r=Promise.withResolvers(),i=new AbortController,o,s=1,l=ve(e,{mode:"session",manage:e.manage,database:a},{...t,onMessage:p=>{if(p.event==="ready")r.resolve(void 0);else if(p.event==="failed")o=X(p.error,t.secrets);else if(p.event==="lock_lost")o=new v.a("lock_lost",`The migration lock was lost: ${String(p.message)}.`,{remedy:"Connect to PostgreSQL directly, not through a pooler in transaction mode."});else{let u=Number(p.id),_=n.get(u);n.delete(u),"error"in p?_?.reject(X(p.error,t.secrets)):_?.resolve(p.result)}}});l.ended.then(()=>{let p=o??l.unexpectedEnd("it was being asked");r.reject(p);for(let u of n.values())u.reject(p);n.clear(),i.abort(p)});async function c(p,u,_,w){let d=Promise.withResolvers(),h=()=>d.reject((0,v.b)(u));w.aborted&&h(),w.addEventListener("abort",h);let m=setTimeout(()=>d.reject(new v.a("timeout",`No answer from Django in ${_/1e3} s while ${u}.`)),_);try{return await Promise.race([p,d.promise])}catch(f){throw p.catch(()=>{}),f instanceof v.a&&(f.reasonCode==="timeout"||f.reasonCode==="cancelled")&&l.kill("SIGKILL"),f}finally{clearTimeout(m),w.removeEventListener("abort",h)}}return await c(r.promise,"Django was starting",Ot,t.signal),{lost:i.signal,request:async(p,u,_=Ct)=>{if(i.signal.aborted)throw i.signal.reason;let w=Promise.withResolvers(),d=s++;return n.set(d,w),l.send({...p,id:d}),await c(w.promise,`asking for ${String(p.command)}`,_,u)},close:async()=>{l.hangUp();let p=setTimeout(()=>l.kill("SIGKILL"),jt);await l.ended,clearTimeout(p)}}}var Rt=30*6e4,Pt=3e4,It=1e3,A=e=>`${e.app}.${e.name}`;function qt(e){let{log:a}=e,t=e.database??"default",n={directory:e.directory,python:e.python,manage:e.manage??"manage.py",environment:{...e.environment,...e.settings===void 0?{}:{DJANGO_SETTINGS_MODULE:e.settings}}},r=new Set,i;async function o(d){if(i!==void 0&&!i.lost.aborted)return i;let h=(0,q.join)(n.directory,n.manage);await(0,D.access)(h).catch(f=>{throw new v.a("not_found",`There is no ${h}.`,{remedy:"Name the directory of the application's manage.py.",cause:f})}),i=await Dt(n,t,{log:a,secrets:r,signal:d});let m=$e(await i.request({command:"connection"},d));return r.add(m.PGPASSWORD??""),i}async function s(d,h){return await(await o(d)).request(h,d)}async function l(d){let{database:h,migrations:m,invalidIndexes:f}=await s(d,{command:"status"});return{database:h,migrations:m,invalidIndexes:f}}async function c(d,h=[]){let m=await s(d,{command:"plan",targets:h}),f=m.plan.map(b=>({...b,sqlHash:b.sql===null?null:Mt(b.sql),findings:[]})),g={hash:Bt(m.database,f),database:m.database,targets:h,migrations:f,reverse:m.reverse,invalidIndexes:m.invalidIndexes},y=me(g);return{...g,migrations:f.map(b=>({...b,findings:y.filter(T=>T.migration===A(b))}))}}async function p(d,h){let m=await l(AbortSignal.timeout(6e4)),f=new Map(m.migrations.map(g=>[A(g),g.state]));return d.migrations.map(g=>{let y={app:g.app,name:g.name},b=f.get(A(g))??"not-applied";if(g.atomic||h?.migration!==A(g))return{...y,state:b};let{operationsDone:T,operations:N}=h,x=m.invalidIndexes.filter(R=>!d.invalidIndexes.includes(R)),S=`it has no transaction: ${T} of ${N} operations are done`+(x.length>0?`; invalid indexes: ${x.join(", ")}`:"");return{...y,state:"partly",detail:S}})}async function u(d,h){let m=await o(d),f=(0,L.c)(e.lockWait??0);for(;;){let g=await m.request({command:"lock",name:e.deployment,holder:`deploy-actions ${e.holder}`},d);if(g===!0)break;if(f.passed())throw ke(g);a.progress({what:"waiting for another migration",elapsed:f.elapsed(),remaining:f.remaining(),detail:ke(g).message}),await(0,L.e)(Math.min(It,f.remaining()),d,"waiting for the migration lock")}try{return await h(AbortSignal.any([d,m.lost]),m)}finally{await m.request({command:"unlock"},AbortSignal.timeout(1e4)).catch(()=>{})}}async function _(d,h,m,f){let g=new Map(d.migrations.map(N=>[A(N),N.atomic])),y=0,b=0,T;for(;;){await m?.check();let N=await Lt(n,{database:t,arguments:h,lockTimeout:e.lockTimeout??5e3,statementTimeout:e.statementTimeout??15*6e4},{log:a,secrets:r,signal:f}),x=N.unfinished?.migration;if(!(N.retry&&x!==void 0&&g.get(x)===!0)||f.aborted)return{outcome:N,retries:y};if(x!==T&&(b=0),T=x,b>=(e.retries??5))return{outcome:N,retries:y};let S=Math.min(Pt,(e.retryDelay??1e3)*2**b)*(.5+Math.random()/2);b+=1,y+=1,a.warning(`${x} could not get a lock in ${(0,L.b)(e.lockTimeout??5e3)}; retry ${b} of ${e.retries??5} in ${(0,L.b)(S)}.`);try{await(0,L.e)(S,f)}catch{return{outcome:N,retries:y}}}}async function w(d,h,m,f){let g=(0,L.c)(h.limit??Rt),y=AbortSignal.timeout(g.total);return await u(AbortSignal.any([h.signal,y]),async(b,T)=>{let N=await m(b,T);N.length>0&&await h.beforeWrite?.(b);let x=0;for(let S of N){if(T.lost.aborted)throw T.lost.reason;let R=await _(d,S,h.fence,b);x+=R.retries;let{error:j,unfinished:ln,retry:dn}=R.outcome;if(j===null)continue;let U=Ft(h.signal,y,T,g.total)??j,J=await p(d,ln).catch(cn=>{throw new z(U.reasonCode,`Migration stopped: ${U.message} What was applied cannot be read: ${(0,v.c)(cn)}`,{states:[],details:j.details,cause:j})});throw new z(dn&&U===j?"migration_locked":U.reasonCode,`${f(J)} ${U.message}`,{states:J,remedy:Wt(J,U),details:j.details,cause:j})}return{states:await p(d,null),retries:x,elapsed:g.elapsed()}})}return{status:l,plan:c,lint:me,apply:(d,h)=>w(d,h,async m=>{let f=await c(m,d.targets);if(f.hash!==d.hash)throw Ut(d,f);return f.migrations.length===0?[]:d.targets.length===0?[[]]:d.targets.map(({app:g,name:y})=>y===void 0?[g]:[g,y])},m=>`Migration stopped with ${xe(m)}.`),reverse:(d,h)=>w(d,h,async(m,f)=>{if(!d.reverse.possible)throw new v.a("unsupported",`There is no way back: ${d.reverse.reasons.join("; ")}.`,{remedy:"Restore the backup, or migrate forward with a correction."});let{steps:g}=d.reverse,y=await f.request({command:"unapplied-by",steps:g},m),b=Array.isArray(y)?y.map(Gt):[],T=new Set(d.migrations.map(A)),N=b.flat().filter(x=>!T.has(x));if(N.length>0)throw new v.a("plan_changed",`Going back would also take back ${N.join(", ")}.`,{remedy:"These were applied later; take them back first."});return g.filter((x,S)=>(b[S]??[]).length>0).map(({app:x,name:S})=>[x,S])},m=>`Going back stopped with ${xe(m)}.`),verify:async(d,h)=>{let m=await s(h,{command:"plan",targets:d.targets}),f=new Map(m.migrations.map(y=>[A(y),y.state])),g=[...d.migrations.filter(y=>f.get(A(y))!=="applied").map(y=>`${A(y)} is not recorded as applied`),...m.plan.map(y=>`${A(y)} is still to be applied`),...m.invalidIndexes.filter(y=>!d.invalidIndexes.includes(y)).map(y=>`the index ${y} is invalid`)];if(g.length>0)throw new v.a("verify_failed",`The database is not as planned: ${[...new Set(g)].join("; ")}.`,{remedy:"Drop an invalid index (DROP INDEX CONCURRENTLY), make the plan again and apply it."})},connection:async d=>$e(await(await o(d)).request({command:"connection"},d)),close:async()=>{await i?.close(),i=void 0}}}function Mt(e){return(0,G.createHash)("sha256").update(e).digest("hex")}function Bt(e,a){return(0,I.b)({database:{host:e.host,port:e.port,name:e.name},migrations:a.map(({app:t,name:n,atomic:r,sqlHash:i,sourceHash:o})=>({app:t,name:n,atomic:r,sqlHash:i,sourceHash:o}))})}function Ut(e,a){let t=i=>i.migrations.map(A).join(", ")||"nothing",n=({database:{host:i,port:o,name:s}})=>`${i}:${o}/${s}`,r=n(e)!==n(a)?`it was made for ${n(e)}, this is ${n(a)}`:t(e)!==t(a)?`it was to apply ${t(e)}; now it is ${t(a)}`:`the SQL or the source of its migrations has changed (${t(a)})`;return new v.a("plan_changed",`The plan is not the one that was approved: ${r}. Nothing was migrated.`,{remedy:"Make the plan again and have it approved."})}function ke(e){let a=(0,I.c)(e)?e:{},t=a.pid,n=typeof t=="number"?`"${String(a.name)}" (user ${String(a.user)}, server process ${t}, for ${(0,L.b)(Number(a.seconds)*1e3)})`:"somebody who has just ended";return new v.a("migration_locked",`Another migration holds the lock: ${n}. Nothing was migrated.`,{remedy:"Wait for it to end. If its run is dead, end its session with pg_terminate_backend."})}function Ft(e,a,t,n){return t.lost.aborted?new v.a("lock_lost",`The migration lock was lost: ${(0,v.c)(t.lost.reason)}`):e.aborted?(0,v.b)("migrating"):a.aborted?new v.a("timeout",`The limit of ${(0,L.b)(n)} is over.`):null}function xe(e){let a=t=>e.filter(n=>n.state===t);return[`applied: ${a("applied").map(A).join(", ")||"none"}`,...a("partly").map(t=>`partly applied: ${A(t)} (${t.detail??""})`),`not applied: ${a("not-applied").map(A).join(", ")||"none"}`].join("; ")}function Wt(e,a){return e.some(t=>t.state==="partly")?"Do not run it again as it is: undo by hand what was done, or make its operations repeatable.":a.remedy??"What is applied stays applied and recorded; correct the cause and run it again."}function $e(e){let a=(0,I.c)(e)?Object.entries(e):[];return Object.fromEntries(a.filter(t=>typeof t[1]=="string"))}function Gt(e){return Array.isArray(e)?e.filter(a=>typeof a=="string"):[]}async function Kt(e,a,t){let{purpose:n,title:r,verdict:i}=t,o=(0,Se.g)(t.findings,a.redact),{quiet:s,pullRequest:l,headSha:c,runKey:p}=e,u=(0,k.m)(n),_=(0,k.n)(o,{purpose:n,title:r,message:i.message}).body,w=_.slice(u.length).trim(),d=t.more===void 0?_:`${_.trimEnd()}

${t.more}`;a.summary.paragraph(d.slice(u.length).trim());let h=je(o),m=[h.notice].filter(g=>g!==""),f=s.check({name:r,sha:c,key:`${p}/${n}`,conclusion:i.passed?"success":"failure",title:i.passed?`${o.length} findings`:`Not passed: ${o.length} findings`,summary:[w,...m].join(`

`),annotations:h.items.flat()});await e.settle(`The check \xAB${r}\xBB`,f)===void 0&&Ht(a,o),l!==void 0&&await e.settle(`The comment \xAB${r}\xBB`,s.comment({pullRequest:l,marker:u,body:d})),t.sarif!==void 0&&await Qt(e,a,{...t,findings:o},t.sarif)}function Ht(e,a){let{items:t,notice:n}=De(a);for(let{level:r,message:i,properties:o}of t)e.annotate(r==="error"?"warning":r,i,o);n!==""&&e.log.info(`Annotations: ${n}`)}async function Qt(e,a,{purpose:t,findings:n},{tool:r,targets:i}){let{facts:o,log:s}=a,l=new Map(i.map(c=>[se(t,c),[]]));for(let c of n){let p=se(t,c.target);l.set(p,[...l.get(p)??[],c])}for(let[c,p]of l){let u=Ue({tool:{name:r,version:null,link:null},category:c,findings:p});u.notice!==""&&s.info(`Code scanning, ${c}: ${u.notice}`),await e.settle(`The analysis ${c} for code scanning`,e.quiet.sarif({gzip:u.gzip,sha:o.sha,ref:o.ref}))}}function Ee({database:e}){return{kind:"database",name:e.name,version:null}}function Te({location:{file:e}},{workspace:a,directory:t}){return e===null?null:(0,q.relative)(a,(0,q.resolve)(t,e))}function zt(e,a,t){return Re(a.map(n=>{let{rule:r,severity:i,migration:o,message:s,remedy:l,location:c}=n,{title:p,link:u}=de[r],_=Te(n,t);return{rule:{id:r,title:p,help:l,link:u,tags:["migration"]},severity:i==="error"?"high":"medium",message:`${s} ${l}`,target:Ee(e),subject:o===""?null:{name:o,version:null,fixedVersion:null,path:null},location:_===null?null:{file:_,startLine:c.line,endLine:c.line},context:s}}))}async function Vt(e){if(e===void 0)return{};let a=await(0,v.e)((0,D.readFile)(e,"utf8"));if(a===void 0)throw new v.a("not_found",`The environment file ${e} does not exist on this host.`,{remedy:"Correct `env-file`. Nothing was migrated."});let t=(0,te.a)(a);if("problem"in t)throw new v.a("invalid_input",`The environment file ${e}: ${t.problem}.`);return t.values}async function Yt(e,a){let t={};for(let[n,r]of Object.entries(a.environment))r!==void 0&&!/^(?:INPUT_|GITHUB_|ACTIONS_|RUNNER_|STATE_)/.test(n)&&(t[n]=r);return{...t,...await Vt(e["env-file"]),...e.env}}function Xt(e,a,t){if(e.migrator==="django")return qt({directory:e.directory,python:e.python,...e.settings===void 0?{}:{settings:e.settings},environment:t,deployment:e.environment,holder:a.facts.runUrl||`process ${process.pid}`,lockWait:e["wait-for-other"],lockTimeout:e["lock-timeout"],statementTimeout:e["statement-timeout"],log:a.log})}function Jt(e){return(e.target??[]).map(a=>{let[t="",n]=a.split(".");return n===void 0?{app:t}:{app:t,name:n}})}function Zt(e){let{file:a,line:t}=e.location;return a===null?e.migration:`${a}${t===null?"":`:${t}`}`}function Ne(e){return`${Zt(e)} ${e.severity} ${e.rule}: ${e.message} ${e.remedy}`}function en({plan:e,states:a,backup:t}){let n=(0,E.f)(),{host:r,port:i,name:o}=e.database;if(n.paragraph((0,E.c)(`Database ${o} at ${r}:${i}, plan ${e.hash}`)),e.migrations.length===0)return n.paragraph("Every migration is applied."),n.text();n.table(["Migration","In a transaction","Way back","What it does","State"],e.migrations.map(s=>[(0,E.c)(`${s.app}.${s.name}`),s.atomic?"yes":"no",s.reversible?"yes":"**no**",s.operations.map(l=>(0,E.c)(l.description)).join("<br>"),a.find(l=>l.app===s.app&&l.name===s.name)?.state??"not-applied"]));for(let s of e.migrations)n.details(`SQL of ${s.app}.${s.name}`,s.sql??s.sqlProblem??"");if(n.paragraph(e.reverse.possible?`Way back: ${e.reverse.steps.map(s=>`\`migrate ${s.app} ${s.name}\``).join(", then ")}`:`No way back: ${e.reverse.reasons.map(E.c).join("; ")}`),t!==void 0){let{file:s,bytes:l,tables:c,verified:p,sha256:u}=t;n.table(["Backup","Bytes","Tables","Verified by","SHA-256"],[[(0,E.c)(s),String(l),String(c.length),p,u]])}return n.text()}async function tn(e,a,t){let{plan:n}=t;if(n===void 0)return;let r=en({...t,plan:n}),i=(0,Ae.b)(a,e["github-token"]),{pullRequest:o}=i;if(t.findings.length===0&&o===void 0&&!e.sarif){a.summary.paragraph(r);return}let{environment:s}=e,l=zt(n,t.findings,{workspace:a.facts.workspace,directory:e.directory});await Kt({...i,pullRequest:a.deployment===void 0?o:void 0},a,{purpose:`migrate-db-${s}`,title:`Database migration for ${s}`,findings:l,verdict:Me(l,e["on-unsafe"]==="fail"?{critical:0,high:0}:{}),more:r,...e.sarif?{sarif:{tool:"migrate-db",targets:[Ee(n)]}}:{}})}function nn(e){let a=n=>e.filter(({state:r})=>r===n).map(({app:r,name:i})=>`${r}.${i}`),t=[["applied",a("applied")],["partly applied",a("partly")],["not applied",a("not-applied")]].filter(([,n])=>n.length>0).map(([n,r])=>`${n}: ${r.join(", ")}`);return t.length===0?"":`${t.join("; ")}.`}function W(e,a,t=[]){let{plan:n,findings:r,backup:i,states:o}=e;return{...a,outputs:{"plan-hash":n?.hash,planned:n?.migrations.length,applied:o.filter(s=>s.state==="applied").length,findings:r.length,reversible:n?.reverse.possible,"backup-file":i?.file,"backup-sha256":i?.sha256},report:{plan:n,findings:r,backup:i,states:o,details:t}}}function an(e,a,t){let n=e["approved-plan"],r=l=>l.replace(/^sha256:/,"");if(n!==void 0&&r(n)!==r(a.hash))return{result:"refused",reasonCode:"plan_changed",message:`The plan is ${a.hash}, but ${n} was approved; nothing was migrated.`,remedy:"Look at the new plan, approve it, and give its hash."};let[i,...o]=t.filter(l=>l.severity==="error");if(i===void 0||e["on-unsafe"]==="warn")return;let s=o.length===0?"":` And ${o.length} more.`;return{result:"refused",reasonCode:"unsafe_migration",message:`The plan is not safe while the old version serves; nothing was migrated. ${Ne(i)}${s}`,remedy:"Follow what each finding says, or set `on-unsafe: warn` for a maintenance window."}}async function rn(e,a,t,n,r){let{log:i,signal:o}=a,s=await i.group("Plan",()=>t.plan(o,Jt(e))),l=t.lint(s);Object.assign(r,{plan:s,findings:l});let c=s.migrations.length;for(let{app:w,name:d}of s.migrations)i.info(`  ${w}.${d}`);for(let w of l){let d=Te(w,{workspace:a.facts.workspace,directory:e.directory});(d!==null&&(0,k.d)(d)!==null?i.info:i.warning)(Ne(w))}let p=an(e,s,l);if(p!==void 0&&!e["dry-run"])return W(r,p);if(e["dry-run"]){let w=p===void 0?"":` It would be refused: ${p.message}`;return W(r,{result:"planned",reasonCode:"dry_run",message:`${c} migrations would be applied, with ${l.length} findings; nothing was written.${w}`})}if(c===0)return await t.verify(s,o),W(r,{result:"unchanged",reasonCode:"already_current",message:"Every migration is applied; there was nothing to do."});let u=await i.group("Apply",()=>t.apply(s,{signal:o,limit:e.timeout,async beforeWrite(w){if(e.backup==="none")return;r.backup=await wt({connection:await t.connection(w),directory:e["backup-directory"],...e["postgres-bin"]===void 0?{}:{postgresBin:e["postgres-bin"]},environment:n,verify:e.backup,log:i,signal:w});let{file:d,bytes:h,tables:m,verified:f}=r.backup;i.info(`Backup ${d}: ${h} bytes, ${m.length} tables, verified by ${f}.`)}}));r.states=u.states,await t.verify(s,o);let _=r.backup===void 0?"":`; the backup is ${r.backup.file}`;return W(r,{result:"succeeded",reasonCode:"ok",message:`${c} migrations were applied and verified in ${(0,L.b)(u.elapsed)}${_}.`})}async function on(e,a,t,n){let r=Xt(e,a,t);try{return await rn(e,a,r,t,n)}catch(i){if(!(i instanceof z))throw i;n.states=i.states;for(let{app:o,name:s,state:l,detail:c}of n.states)a.log.info(`  ${o}.${s}: ${l}${c===void 0?"":` (${c})`}`);return W(n,{result:i.reasonCode==="cancelled"?"cancelled":"failed",reasonCode:i.reasonCode,message:`${i.message} ${nn(n.states)}`,remedy:i.remedy},i.details)}finally{await r.close()}}async function sn(e,a){let t=await Yt(e,a);for(let i of(0,te.b)(t))a.mask(i);let n={findings:[],states:[]},r=await on(e,a,t,n);return await tn(e,a,n),r}})};export{mn as id,un as ids,fn as modules};
