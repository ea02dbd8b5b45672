const $t=235,Nt=[235],At={3527:((Oe,te,$)=>{$.d(te,{a:()=>ae,b:()=>Q});var J=$(6517),F=$(6506),x=$(1421),G=$(6193);function _(w){let O=[],N=0;return{add(q){if(O.push(q),N+=q.length,N>w*2){let M=Buffer.concat(O).subarray(-w);O=[M],N=M.length}},text:()=>Buffer.concat(O).subarray(-w).toString("utf8")}}var D=64*1024,ne=2e3;function W(w){let O=new G.StringDecoder("utf8"),N="";return{add(q){let M=(N+O.write(q)).split(`
`);N=M.pop()??"";for(let L of M)w(L);for(;N.length>D;N=N.slice(D))w(N.slice(0,D))},end(){N+=O.end(),N!==""&&w(N)}}}function ae(w,O){return w.trimEnd().split(`
`).slice(-O)}async function Q(w){let[O="",...N]=w.command,q=`running ${O}`;if(w.signal.aborted)throw(0,F.b)(q);let M=w.keep??1024*1024,L=(0,x.spawn)(O,N,{cwd:w.cwd,env:w.env,detached:!0,stdio:["pipe","pipe","pipe"]}),re=_(M),oe=_(M),V={stdout:W(T=>w.onLine?.(T,"stdout")),stderr:W(T=>w.onLine?.(T,"stderr"))};L.stdout.on("data",T=>{re.add(T),V.stdout.add(T)}),L.stderr.on("data",T=>{oe.add(T),V.stderr.add(T)}),L.stdin.on("error",()=>{}),L.stdin.end(w.input??"");let H,Y=T=>{try{L.pid!==void 0&&process.kill(-L.pid,T)}catch{}},me=()=>{L.stdout.destroy(),L.stderr.destroy()},ie,K=T=>{H===void 0&&(H=T,Y("SIGTERM"),ie=setTimeout(()=>Y("SIGKILL"),w.grace??5e3))},C=()=>K("cancelled"),se=setTimeout(()=>K("timeout"),Math.min(w.timeout,J.f)),le;L.once("exit",()=>{le=setTimeout(me,ne)}),w.signal.addEventListener("abort",C,{once:!0});try{let[T,B]=await new Promise((ce,pe)=>{L.once("error",pe),L.once("close",(ue,fe)=>ce([ue,fe]))});V.stdout.end(),V.stderr.end();let de={code:T,signal:B,stdout:re.text(),stderr:oe.text()};if(H==="cancelled")throw(0,F.b)(q);if(H==="timeout")throw new F.a("timeout",`${O} was ended after ${(0,J.d)(w.timeout)}.`,{details:ae(de.stderr,20)});return de}catch(T){let B=(0,F.d)(T);throw B==="ENOENT"||B==="EACCES"?new F.a(B==="EACCES"?"permission_denied":"not_found",`${O} cannot be run${w.cwd===void 0?"":` in ${w.cwd}`}: ${B==="EACCES"?"it is not executable":"there is no such program or folder"}.`,{remedy:"Install it, correct the name, or add its folder to PATH.",cause:T}):T}finally{clearTimeout(se),clearTimeout(ie),clearTimeout(le),H!==void 0&&Y("SIGKILL"),w.signal.removeEventListener("abort",C)}}}),7235:((Oe,te,$)=>{$.r(te),$.d(te,{run:()=>kt});var J=$(3527),F=$(7446),x=$(6517),G=$(8975),_=$(6506),D=$(1455),ne=$(1421),W=$(7598),ae=$(3024),Q=$(6760),w=$(481),O={ok:"The action did what was asked.",already_current:"What was asked for was already so; nothing was written.",dry_run:"Only the plan was made, because `dry-run` is true.",invalid_input:"One or more inputs are missing or not allowed; nothing was touched.",invalid_config:"deploy.yml cannot be read or says something that is not allowed; nothing was touched.",unsupported:"The platform or router does not have a capability that was asked for.",not_found:"A file, program, release or service that was named does not exist.",version_not_found:"The release to go back to does not exist or is no longer kept.",permission_denied:"A right that is needed is missing.",unreachable:"A host, socket or API could not be reached.",lock_held:"Another run holds the lease of this environment.",lock_lost:"The lease was taken over by another run; this run wrote nothing after that.",state_conflict:"What is there changed while it was being read, and the intent no longer held.",state_too_new:"The state was written by a newer version of the suite.",state_corrupt:"The stored state cannot be read.",start_failed:"The new version could not be started or ended by itself.",not_ready:"The new version did not become ready in time.",unhealthy:"A health check did not pass in time.",router_rejected:"The router refused the new configuration.",router_unverified:"The router was written to, but the data plane did not follow in time.",drain_timeout:"Requests were still in flight when the time to drain was over.",limit_exceeded:"A metric was beyond its limit.",insufficient_data:"There were too few requests, or no usable data, to reach a verdict.",metrics_unavailable:"The metric source failed or answered nonsense.",migration_failed:"A migration failed; the report says what was applied.",migration_locked:"Another migration is running, or a table lock could not be had in time.",unsafe_migration:"A migration would break the version that serves, lose data or block a table.",plan_changed:"The plan is not the one that was approved.",backup_failed:"The backup could not be made or verified; nothing was migrated.",verify_failed:"The state after the change is not what the plan said.",resumed:"An unfinished release of an earlier run was found and finished.",reverted:"The release was taken back; the previous version serves.",revert_failed:"The release could not be taken back completely; the report says what is left.",unfinished_release:"An unfinished release of another version has to be settled first.",cancelled:"The run was cancelled.",timeout:"The time allowed was over.",command_failed:"A command ended with an error.",internal:"An error of the suite itself; please report it."},N=class extends _.a{states;constructor(e,t,n){super(e,t,n),this.name="MigrationError",this.states=n.states}},q=/\s+/y,M=/--[^\n]*/y,L=/[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y,re=/(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y,oe=/(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y,V=/\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y,H=/[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;function Y(e){let t=[],n=[],a=0,r=0,o=d=>{d.lastIndex=r;let i=d.exec(e)?.[0];return i!==void 0&&(r+=i.length),i},s=(d,i)=>n.push({kind:d,text:i,depth:a});for(;r<e.length;){if(o(q)!==void 0||o(M)!==void 0)continue;if(e.startsWith("/*",r)){r=me(e,r);continue}let d=o(L)??o(re);if(d!==void 0){s("string",d);continue}let i=o(oe);if(i!==void 0){s("name",i.slice(i.indexOf('"')+1,-1).replaceAll('""','"'));continue}let m=o(V);if(m!==void 0){let v=e.indexOf(m,r),k=v<0?e.length:v+m.length;s("string",e.slice(r-m.length,k)),r=k;continue}let h=o(H);if(h!==void 0){s("word",h.toLowerCase());continue}let y=String.fromCodePoint(e.codePointAt(r)??0);if(r+=y.length,y===";"&&a===0&&!ie(n)){t.push(n),n=[];continue}y===")"&&(a=Math.max(0,a-1)),s("symbol",y),y==="("&&(a+=1)}return t.push(n),t.filter(d=>d.length>0)}function me(e,t){let n=/\/\*|\*\//g;n.lastIndex=t;let a=0;for(let r=n.exec(e);r!==null;r=n.exec(e))if(a+=r[0]==="/*"?1:-1,a===0)return n.lastIndex;return e.length}function ie(e){if(e[0]?.text!=="create")return!1;let t=e.filter(a=>a.kind==="word").map(a=>a.text),n=t.findIndex((a,r)=>a==="begin"&&t[r+1]==="atomic");return n<0?!1:t.slice(n).filter(a=>a==="begin"||a==="case").length>t.slice(n).filter(a=>a==="end").length}var K=class{tokens;position=0;constructor(e){this.tokens=e}accept(...e){let t=e.every((n,a)=>{let r=this.tokens[this.position+a];return r?.kind==="word"&&r.text===n});return t&&(this.position+=e.length),t}acceptSymbol(e){let t=this.tokens[this.position];return t?.kind!=="symbol"||t.text!==e?!1:(this.position+=1,!0)}name(){let e=[this.identifier()];for(;this.acceptSymbol(".");)e.push(this.identifier());return(e[0]==="public"&&e.length>1?e.slice(1):e).join(".")}identifier(){let e=this.tokens[this.position];return e===void 0||e.kind!=="word"&&e.kind!=="name"?"":(this.position+=1,e.text)}peek(){return this.tokens[this.position]?.text??""}rest(){return this.tokens.slice(this.position)}};function C(e,...t){let n=e[0]?.depth??0,a=e.filter(r=>r.depth===n);return a.some((r,o)=>t.every((s,d)=>{let i=a[o+d];return i?.kind==="word"&&i.text===s}))}function se(e){let t=e[0]?.depth??0,n=[[]];for(let a of e)a.kind==="symbol"&&a.text===","&&a.depth===t?n.push([]):n.at(-1)?.push(a);return n}var le={"drop-table":["error","Remove it from the code in one release and drop it in a later one."],"drop-column":["error","Remove it from the code in one release and drop it in a later one."],"drop-database":["error","Do not drop a database or schema in a migration."],rename:["error","Add the new name, write both, backfill, and drop the old one in a later release."],"add-not-null":["error","Add it nullable, or with a default of the database (db_default), which Django keeps."],"set-not-null":["error","Add CHECK (\u2026 IS NOT NULL) NOT VALID, VALIDATE it in another migration, then set NOT NULL."],"change-type":["error","Add a new column, write both, backfill, and drop the old one in a later release."],"index-blocks":["error","Use AddIndexConcurrently or RemoveIndexConcurrently in a migration with atomic = False."],"constraint-blocks":["error","Build a unique index concurrently and add the constraint USING INDEX; add others NOT VALID and VALIDATE later."],"concurrently-in-transaction":["error","Set atomic = False in the migration."],truncate:["error","Empty a table outside of a release, after a backup."],cascade:["error","Drop what depends on it by name, so that nothing else goes with it."],"irreversible-code":["warning","Give RunPython a reverse_code; RunPython.noop when nothing is to be undone."],"irreversible-sql":["warning","Give RunSQL a reverse_sql; RunSQL.noop when nothing is to be undone."],irreversible:["warning","Make the operation reversible, or be sure to have a backup."],"unknown-sql":["warning","Apply what comes before it first, and plan again to see its SQL."],"invalid-index":["warning","Drop it with DROP INDEX CONCURRENTLY and build it again."]};function T(e){let t=new Set,n=e.migrations.flatMap(r=>de(r,t)),a=e.invalidIndexes.map(r=>B("invalid-index","",null,null,`The index ${r} is invalid: an earlier concurrent build failed.`));return[...n,...a]}function B(e,t,n,a,r){let[o,s]=le[e];return{rule:e,severity:o,migration:t,message:r,remedy:s,location:{file:n,line:a}}}function de(e,t){let n=[],a=o=>(s,d)=>n.push(B(s,`${e.app}.${e.name}`,e.file,o,d)),r=new Map;for(let o of e.operations){let s=a(o.line);if(!o.reversible){let d=o.kind==="RunPython"?"irreversible-code":o.kind==="RunSQL"?"irreversible-sql":"irreversible";s(d,`${o.kind} cannot be taken back: ${o.description}.`)}for(let d of Y(o.sql))ce(d,{migration:e,operation:o,made:t,added:r,report:s})}for(let o of Y(e.deferredSql))ce(o,{migration:e,operation:null,made:t,added:r,report:a(null)});for(let{column:o,table:s,hasDefault:d,report:i}of r.values())d||i("add-not-null",`Column ${o} of ${s} is added NOT NULL and keeps no default: INSERTs of old code fail.`);return e.sql===null&&a(null)("unknown-sql",`Its SQL is not known and not checked: ${e.sqlProblem??""}`),n}function ce(e,t){let{migration:n,made:a,report:r}=t,o=new K(e);n.atomic&&pe(e)&&r("concurrently-in-transaction","CONCURRENTLY fails inside the transaction of the migration."),o.accept("create")?ue(o,a,r):o.accept("alter","table")?Ce(o,t):o.accept("alter")?Le(o,r):o.accept("drop")?fe(o,a,r):o.accept("truncate")?(o.accept("table"),o.accept("only"),r("truncate",`TRUNCATE empties ${o.name()}.`)):o.accept("reindex")&&!pe(e)&&r("index-blocks","REINDEX without CONCURRENTLY blocks reads and writes.")}function pe(e){let t=e.slice(0,6).filter(n=>n.kind==="word"&&n.depth===0);return["create","drop","reindex","refresh"].includes(t[0]?.text??"")&&t.some(n=>n.text==="concurrently")}function ue(e,t,n){for(let s of["global","local","temporary","temp","unlogged","unique"])e.accept(s);if(e.accept("table")){e.accept("if","not","exists"),t.add(e.name());return}if(!e.accept("index"))return;let a=e.accept("concurrently");e.accept("if","not","exists");let r=e.peek()==="on"?"An index":`Index ${e.name()}`;e.accept("on"),e.accept("only");let o=e.name();!a&&!t.has(o)&&n("index-blocks",`${r} on ${o} is built without CONCURRENTLY: writes wait until it is done.`)}function fe(e,t,n){let a=C(e.rest(),"cascade");if(e.accept("database")||e.accept("schema")){e.accept("if","exists"),n("drop-database",`${e.name()} is dropped with all that is in it.`);return}if(e.accept("table")||e.accept("view")||e.accept("materialized","view")){e.accept("if","exists");for(let r of se(e.rest())){let o=new K(r).name();t.has(o)||n("drop-table",`${o} is dropped: old code still reads it, and its data is gone.`)}return}!e.accept("index","concurrently")&&e.accept("index")&&(e.accept("if","exists"),n("index-blocks",`Index ${e.name()} is dropped without CONCURRENTLY: reads and writes wait for its lock.`)),a&&n("cascade","CASCADE also drops whatever depends on it.")}function Le(e,t){let n=e.peek(),a=e.rest();["type","view","materialized","domain","schema"].includes(n)&&C(a,"rename")&&!C(a,"rename","constraint")&&t("rename",`ALTER ${n.toUpperCase()} renames: one of two live versions does not know the name.`)}function Ce(e,t){let{made:n}=t;e.accept("if","exists"),e.accept("only");let a=e.name();if(e.acceptSymbol("*"),n.has(a)){e.accept("rename","to")&&n.add(e.name());return}for(let r of se(e.rest()))Pe(new K(r),a,t)}var De=["constraint","primary","unique","foreign","check","exclude"],Ie=["serial","bigserial","smallserial","serial4","serial8","serial2"];function Pe(e,t,n){let{report:a,added:r}=n;if(e.accept("rename")){if(e.accept("constraint"))return;let d=e.accept("to")?t:(e.accept("column"),`column ${e.name()} of ${t}`);a("rename",`${qe(d)} is renamed: one of two live versions does not know the name.`);return}if(e.accept("drop")){if(e.accept("constraint")){C(e.rest(),"cascade")&&a("cascade","CASCADE also drops whatever depends on it.");return}e.accept("column"),e.accept("if","exists"),a("drop-column",`Column ${e.name()} of ${t} is dropped: old code still names it, and its data is gone.`);return}if(e.accept("add")){De.includes(e.peek())?je(e.rest(),t,a):Re(e,t,n);return}if(!e.accept("alter")||e.peek()==="constraint")return;e.accept("column");let o=e.name(),s=r.get(`${t}.${o}`);if(e.accept("set","not","null"))a("set-not-null",`Column ${o} of ${t} becomes NOT NULL: the table is scanned under an exclusive lock, and NULLs of old code fail.`);else if(e.accept("drop","default"))s!==void 0&&(s.hasDefault=!1);else if(e.accept("set","default"))s!==void 0&&(s.hasDefault=!0);else if(e.accept("type")||e.accept("set","data","type")){let d=n.operation?.alters,i=d?.table===t&&d.column===o?d:void 0;if(i!==void 0&&Me(i.from,i.to))return;let m=i===void 0?"":` from ${i.from} to ${i.to}`;a("change-type",`Column ${o} of ${t} changes its type${m}: the table may be rewritten under an exclusive lock.`)}}function Re(e,t,n){e.accept("column"),e.accept("if","not","exists");let a=e.name(),r=e.rest();if((C(r,"unique")||C(r,"primary","key"))&&n.report("constraint-blocks",`Column ${a} of ${t} is added with a unique index, which blocks the table while it is built.`),!C(r,"not","null")&&!C(r,"primary","key"))return;let o=r[0]?.text??"",s=C(r,"default")||C(r,"generated")||Ie.includes(o);n.added.set(`${t}.${a}`,{column:a,table:t,hasDefault:s,report:n.report})}function je(e,t,n){let a=new K(e),r=a.accept("constraint")?`Constraint ${a.name()}`:"A constraint",o=a.rest();C(o,"using","index")||(["unique","primary","exclude"].includes(a.peek())?n("constraint-blocks",`${r} on ${t} builds its index while the table is blocked, and duplicates of old code fail.`):["foreign","check"].includes(a.peek())&&!C(o,"not","valid")&&n("constraint-blocks",`${r} on ${t} is checked against every row while the table is locked.`))}function Me(e,t){let n=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(e),a=/^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(t);return n===null?!1:t==="text"||t==="varchar"?n[1]!=="numeric":a===null||n[1]==="numeric"!=(a[1]==="numeric")?!1:Number(a[2])>=Number(n[2])&&(a[3]??"0")===(n[3]??"0")}function qe(e){return e.startsWith("column")?`C${e.slice(1)}`:`Table ${e}`}function we(e=262144){let t="";return{add:n=>{t=(t+n).slice(-e)},text:()=>t}}function he(e,t=15){return e.trimEnd().split(`
`).slice(-t).filter(Boolean)}function z(e,t){let n=e.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g,"$1:***@");for(let a of t)a!==""&&(n=n.replaceAll(a,"***"));return n}var Be=64*2**20,ge=`
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`,ye=`SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  ${ge} ORDER BY 1 \\gexec
`;async function Ue(e){let t=(0,x.e)(e.limit??36e5),n=[e.connection.PGPASSWORD??""],a={...e.environment,...e.connection,LC_MESSAGES:"C"},r=await Ge(e),o=c=>{e.log.progress({what:c,elapsed:t.elapsed(),remaining:t.remaining()})};async function s(c,p,u,g){let b=await(0,J.b)({command:[r[c],...p],env:g===void 0?a:{...a,PGDATABASE:g},...u===void 0?{}:{input:u},signal:e.signal,timeout:Math.max(1,t.remaining()),keep:Be});if(b.code===0)return b.stdout;let A=he(z(b.stderr,n));throw R(`${c} ended with ${b.signal??`code ${b.code}`}: ${A.at(-1)??"no message"}`,{details:A})}let d=async(c,p)=>(await s("psql",["-XAtq","-v","ON_ERROR_STOP=1","-f","-"],c,p)).trimEnd();o("reading the size of the database");let[i="",m="",h=""]=(await d(`SELECT current_setting('server_version_num'), coalesce(sum(pg_table_size(c.oid)), 0), current_database()
      ${ge}`)).split("|");await We(await s("pg_dump",["--version"]),Number(i)),await(0,D.mkdir)(e.directory,{recursive:!0}),await He(e.directory,e.requiredBytes??Number(m));let y=e.name??`${Ve(h)}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g,"")}.dump`,v=(0,Q.join)(e.directory,y),k=`${v}.partial`,l=await Ke(r.psql,a,n,e.signal);try{await(await(0,D.open)(k,"wx",384)).close(),o("dumping the database"),await s("pg_dump",["-Fc","--no-password","--lock-wait-timeout=30s",`--snapshot=${l.id}`,"-f",k]);let{size:c}=await(0,D.stat)(k);if(c===0)throw R("pg_dump wrote an empty file.");o("verifying the dump");let p=ke(await l.query(`SELECT n.nspname || ' ' || c.relname ${ge} ORDER BY 1;
`)),u=await s("pg_restore",["--list",k]),g=p.filter(E=>!u.includes(` TABLE DATA ${E} `));if(g.length>0)throw R(`The dump lacks the tables ${g.join(", ")}.`);await s("pg_restore",["--file=/dev/null",k]);let b=null;if(e.verify==="restore"){o("restoring the dump into a scratch database");let E=ve(await l.query(ye));b=await f(k,`deploy_actions_verify_${(0,W.randomBytes)(6).toString("hex")}`);let P=Object.keys(E).filter(U=>E[U]!==b?.[U]);if(P.length>0){let U=P.map(j=>`${j} (${E[j]} rows, restored ${b?.[j]??"none"})`);throw R(`The restored dump differs: ${U.join(", ")}.`)}}let A=await Qe(k);await(0,D.rename)(k,v);let S=p.map(E=>E.replace(" ","."));return{file:v,bytes:c,sha256:A,tables:S,rows:b,verified:e.verify,elapsed:t.elapsed()}}catch(c){throw await(0,D.rm)(k,{force:!0}),Fe(c,t.total)}finally{await l.release()}async function f(c,p){try{await d(`SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', '${p}',
           pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database() \\gexec
`)}catch(u){throw R(`No scratch database can be made to restore into: ${(0,_.c)(u)}`,{remedy:"Give the database user CREATEDB, or verify the dump without restoring it.",cause:u})}try{return await s("pg_restore",["--no-owner","--no-privileges","--exit-on-error","-d",p,c]),ve(await d(ye,p))}finally{await(0,J.b)({command:[r.psql,"-XAtqc",`DROP DATABASE IF EXISTS ${p}`],env:a,signal:new AbortController().signal,timeout:15e3}).then(({code:u})=>{u!==0&&e.log.warning(`The scratch database ${p} could not be dropped; drop it by hand.`)},u=>e.log.warning(`The scratch database ${p} is left: ${(0,_.c)(u)}`))}}}function R(e,t={}){return new _.a("backup_failed",`${e} Nothing was migrated.`,t)}function Fe(e,t){return e instanceof _.a?e.reasonCode==="timeout"?R(`The backup did not end within ${(0,x.d)(t)}.`,{cause:e}):e:R((0,_.c)(e),{cause:e})}async function Ge(e){let t=e.postgresBin===void 0?(e.environment.PATH??"").split(Q.delimiter).filter(Boolean):[e.postgresBin],n=async a=>{for(let r of t){let o=(0,Q.join)(r,a);if(await(0,D.access)(o,D.constants.X_OK).then(()=>!0,()=>!1))return o}throw R(`${a} is not ${e.postgresBin===void 0?"on PATH":`in ${e.postgresBin}`}.`,{remedy:"Install the client programs of PostgreSQL, of the server\u2019s version or later, or name their folder."})};return{pg_dump:await n("pg_dump"),pg_restore:await n("pg_restore"),psql:await n("psql")}}async function We(e,t){let n=Number(/\(PostgreSQL\) (\d+)/.exec(e)?.[1]),a=Math.floor(t/1e4);if(!(n>=a))throw R(`pg_dump is version ${n||e.trim()}, older than the server, version ${a}: it refuses to dump.`,{remedy:`Install the client programs of PostgreSQL ${a} or later, or name their folder.`})}async function He(e,t){let{bavail:n,bsize:a}=await(0,D.statfs)(e),r=n*a;if(!(r>=t))throw R(`${e} has ${Ee(r)} free; the dump may take ${Ee(t)}.`,{remedy:"Free some space, or name another folder for the backup."})}async function Ke(e,t,n,a){let r=(0,ne.spawn)(e,["-XAtq","-v","ON_ERROR_STOP=1"],{env:t,stdio:"pipe"}),o=we();r.stderr.setEncoding("utf8").on("data",o.add),r.stdin.on("error",()=>{});let s=(0,w.createInterface)({input:r.stdout}),d=Promise.withResolvers();d.promise.catch(()=>{});let i=new Promise(y=>{r.on("error",v=>d.reject(R((0,_.c)(v),{cause:v}))),r.on("close",()=>{let v=he(z(o.text(),n)).at(-1)??"it ended";d.reject(a.aborted?(0,_.b)("dumping the database"):R(`psql lost its snapshot: ${v}`)),y()})}),m=()=>{r.kill("SIGTERM")};a.addEventListener("abort",m);async function h(y){let v=`end-${(0,W.randomBytes)(8).toString("hex")}`,k=[],l=Promise.withResolvers(),f=c=>{c===v?l.resolve(k.join(`
`)):k.push(c)};s.on("line",f),r.stdin.write(`${y}\\echo ${v}
`);try{return await Promise.race([l.promise,d.promise])}finally{s.off("line",f)}}return{id:await h(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();
`),query:h,release:async()=>{a.removeEventListener("abort",m),r.stdin.end(),await i}}}function ve(e){return Object.fromEntries(ke(e).map(t=>{let n=t.lastIndexOf("|");return[t.slice(0,n),Number(t.slice(n+1))]}))}function ke(e){return e.split(`
`).filter(Boolean)}async function Qe(e){let t=(0,W.createHash)("sha256");for await(let n of(0,ae.createReadStream)(e))t.update(n);return t.digest("hex")}function Ve(e){return e.replaceAll(/[^\w.-]/g,"_")}function Ee(e){return`${(e/2**20).toFixed(1)} MiB`}function Ye(){return`"""Answers about, and runs, the migrations of a Django project, from inside the project's own Python.

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
`}function Xe(e){let t=Buffer.byteLength(e);return["-c",["import os","program = b''",`while len(program) < ${t}:`,`    part = os.read(0, ${t} - len(program))`,"    if not part: os._exit(1)","    program += part","exec(compile(program, 'deploy-actions helper.py', 'exec'))"].join(`
`)]}function xe(e,t,n){let a=Ye(),r=(0,ne.spawn)(e.python,Xe(a),{cwd:e.directory,env:{...e.environment,PYTHONUNBUFFERED:"1",PYTHONIOENCODING:"utf-8"},stdio:"pipe"}),o=we(),s;r.on("error",i=>{s=i}),r.stdin.on("error",()=>{}),(0,w.createInterface)({input:r.stderr}).on("line",i=>{o.add(`${i}
`),n.log.debug(z(i,n.secrets))}),(0,w.createInterface)({input:r.stdout}).on("line",i=>{let m=JSON.parse(i);(0,G.c)(m)&&n.onMessage(m)}),r.stdin.write(a);let d=i=>{r.stdin.write(`${JSON.stringify(i)}
`)};return d(t),{send:d,hangUp:()=>r.stdin.end(),kill:i=>{r.kill(i)},ended:new Promise(i=>{r.on("close",()=>i())}),unexpectedEnd:i=>{if(s!==void 0&&(0,_.d)(s)!==void 0)return new _.a("not_found",`The Python ${e.python} cannot be started.`,{remedy:"Name the Python that the application runs with, such as .venv/bin/python.",cause:s});let m=r.signalCode??`code ${r.exitCode}`;return new _.a("command_failed",`The application's Python ended (${m}) while ${i}.`,{details:he(z(o.text(),n.secrets))})}}}function _e(e,t){let n=(0,G.c)(e)?e:{},a=o=>z(typeof o=="string"?o:"",t),r=Array.isArray(n.details)?n.details.map(a):[];return new _.a(Je(n.code)?n.code:"internal",a(n.message),{remedy:a(n.remedy)||void 0,details:r})}function Je(e){return typeof e=="string"&&Object.hasOwn(O,e)}var ze=4e3,Ze=5e3;async function et(e,t,n){let a={error:null,retry:!1,unfinished:null};if(n.signal.aborted)return{...a,error:(0,_.b)("migrations were about to be run")};let r=!1,o=performance.now(),s=xe(e,{mode:"migrate",manage:e.manage,...t},{...n,onMessage:m=>{let h=`${String(m.app)}.${String(m.name)}`;switch(m.event){case"started":a.unfinished={migration:h,operationsDone:0,operations:Number(m.operations)},n.log.progress({what:m.verb==="apply"?"applying migrations":"taking back migrations",elapsed:performance.now()-o,detail:h});break;case"operation":a.unfinished!==null&&(a.unfinished.operationsDone=Number(m.index)+1);break;case"ended":a.unfinished=null,n.log.info(`${m.verb==="apply"?"Applied":"Took back"} ${h} in ${(0,x.d)(Number(m.milliseconds))}.`);break;case"failed":a.error=_e(m.error,n.secrets),a.retry=m.retry===!0;break;case"done":r=!0;break}}}),d=[],i=()=>{s.hangUp(),d.push(setTimeout(()=>s.kill("SIGTERM"),ze)),d.push(setTimeout(()=>s.kill("SIGKILL"),Ze))};return n.signal.addEventListener("abort",i),await s.ended,d.forEach(clearTimeout),n.signal.removeEventListener("abort",i),r||(a.error??=s.unexpectedEnd("migrations were being run")),a}var tt=6e4,nt=12e4,at=5e3;async function rt(e,t,n){let a=new Map,r=Promise.withResolvers(),o=new AbortController,s,d=1,i=xe(e,{mode:"session",manage:e.manage,database:t},{...n,onMessage:h=>{if(h.event==="ready")r.resolve(void 0);else if(h.event==="failed")s=_e(h.error,n.secrets);else if(h.event==="lock_lost")s=new _.a("lock_lost",`The migration lock was lost: ${String(h.message)}.`,{remedy:"Connect to PostgreSQL directly, not through a pooler in transaction mode."});else{let y=Number(h.id),v=a.get(y);a.delete(y),"error"in h?v?.reject(_e(h.error,n.secrets)):v?.resolve(h.result)}}});i.ended.then(()=>{let h=s??i.unexpectedEnd("it was being asked");r.reject(h);for(let y of a.values())y.reject(h);a.clear(),o.abort(h)});async function m(h,y,v,k){let l=Promise.withResolvers(),f=()=>l.reject((0,_.b)(y));k.aborted&&f(),k.addEventListener("abort",f);let c=setTimeout(()=>l.reject(new _.a("timeout",`No answer from Django in ${v/1e3} s while ${y}.`)),v);try{return await Promise.race([h,l.promise])}catch(p){throw h.catch(()=>{}),p instanceof _.a&&(p.reasonCode==="timeout"||p.reasonCode==="cancelled")&&i.kill("SIGKILL"),p}finally{clearTimeout(c),k.removeEventListener("abort",f)}}return await m(r.promise,"Django was starting",tt,n.signal),{lost:o.signal,request:async(h,y,v=nt)=>{if(o.signal.aborted)throw o.signal.reason;let k=Promise.withResolvers(),l=d++;return a.set(l,k),i.send({...h,id:l}),await m(k.promise,`asking for ${String(h.command)}`,v,y)},close:async()=>{i.hangUp();let h=setTimeout(()=>i.kill("SIGKILL"),at);await i.ended,clearTimeout(h)}}}var ot=30*6e4,it=3e4,st=1e3,I=e=>`${e.app}.${e.name}`;function lt(e){let{log:t}=e,n=e.database??"default",a={directory:e.directory,python:e.python,manage:e.manage??"manage.py",environment:{...e.environment,...e.settings===void 0?{}:{DJANGO_SETTINGS_MODULE:e.settings}}},r=new Set,o;async function s(l){if(o!==void 0&&!o.lost.aborted)return o;let f=(0,Q.join)(a.directory,a.manage);await(0,D.access)(f).catch(p=>{throw new _.a("not_found",`There is no ${f}.`,{remedy:"Name the directory of the application's manage.py.",cause:p})}),o=await rt(a,n,{log:t,secrets:r,signal:l});let c=Ne(await o.request({command:"connection"},l));return r.add(c.PGPASSWORD??""),o}async function d(l,f){return await(await s(l)).request(f,l)}async function i(l){let{database:f,migrations:c,invalidIndexes:p}=await d(l,{command:"status"});return{database:f,migrations:c,invalidIndexes:p}}async function m(l,f=[]){let c=await d(l,{command:"plan",targets:f}),p=c.plan.map(b=>({...b,sqlHash:b.sql===null?null:dt(b.sql),findings:[]})),u={hash:ct(c.database,p),database:c.database,targets:f,migrations:p,reverse:c.reverse,invalidIndexes:c.invalidIndexes},g=T(u);return{...u,migrations:p.map(b=>({...b,findings:g.filter(A=>A.migration===I(b))}))}}async function h(l,f){let c=await i(AbortSignal.timeout(6e4)),p=new Map(c.migrations.map(u=>[I(u),u.state]));return l.migrations.map(u=>{let g={app:u.app,name:u.name},b=p.get(I(u))??"not-applied";if(u.atomic||f?.migration!==I(u))return{...g,state:b};let{operationsDone:A,operations:S}=f,E=c.invalidIndexes.filter(U=>!l.invalidIndexes.includes(U)),P=`it has no transaction: ${A} of ${S} operations are done`+(E.length>0?`; invalid indexes: ${E.join(", ")}`:"");return{...g,state:"partly",detail:P}})}async function y(l,f){let c=await s(l),p=(0,x.e)(e.lockWait??0);for(;;){let u=await c.request({command:"lock",name:e.deployment,holder:`deploy-actions ${e.holder}`},l);if(u===!0)break;if(p.passed())throw Te(u);t.progress({what:"waiting for another migration",elapsed:p.elapsed(),remaining:p.remaining(),detail:Te(u).message}),await(0,x.g)(Math.min(st,p.remaining()),l,"waiting for the migration lock")}try{return await f(AbortSignal.any([l,c.lost]),c)}finally{await c.request({command:"unlock"},AbortSignal.timeout(1e4)).catch(()=>{})}}async function v(l,f,c,p){let u=new Map(l.migrations.map(S=>[I(S),S.atomic])),g=0,b=0,A;for(;;){await c?.check();let S=await et(a,{database:n,arguments:f,lockTimeout:e.lockTimeout??5e3,statementTimeout:e.statementTimeout??15*6e4},{log:t,secrets:r,signal:p}),E=S.unfinished?.migration;if(!(S.retry&&E!==void 0&&u.get(E)===!0)||p.aborted)return{outcome:S,retries:g};if(E!==A&&(b=0),A=E,b>=(e.retries??5))return{outcome:S,retries:g};let P=Math.min(it,(e.retryDelay??1e3)*2**b)*(.5+Math.random()/2);b+=1,g+=1,t.warning(`${E} could not get a lock in ${(0,x.d)(e.lockTimeout??5e3)}; retry ${b} of ${e.retries??5} in ${(0,x.d)(P)}.`);try{await(0,x.g)(P,p)}catch{return{outcome:S,retries:g}}}}async function k(l,f,c,p){let u=(0,x.e)(f.limit??ot),g=AbortSignal.timeout(u.total);return await y(AbortSignal.any([f.signal,g]),async(b,A)=>{let S=await c(b,A);S.length>0&&await f.beforeWrite?.(b);let E=0;for(let P of S){if(A.lost.aborted)throw A.lost.reason;let U=await v(l,P,f.fence,b);E+=U.retries;let{error:j,unfinished:Et,retry:xt}=U.outcome;if(j===null)continue;let X=mt(f.signal,g,A,u.total)??j,be=await h(l,Et).catch(Tt=>{throw new N(X.reasonCode,`Migration stopped: ${X.message} What was applied cannot be read: ${(0,_.c)(Tt)}`,{states:[],details:j.details,cause:j})});throw new N(xt&&X===j?"migration_locked":X.reasonCode,`${p(be)} ${X.message}`,{states:be,remedy:ut(be,X),details:j.details,cause:j})}return{states:await h(l,null),retries:E,elapsed:u.elapsed()}})}return{status:i,plan:m,lint:T,apply:(l,f)=>k(l,f,async c=>{let p=await m(c,l.targets);if(p.hash!==l.hash)throw pt(l,p);return p.migrations.length===0?[]:l.targets.length===0?[[]]:l.targets.map(({app:u,name:g})=>g===void 0?[u]:[u,g])},c=>`Migration stopped with ${$e(c)}.`),reverse:(l,f)=>k(l,f,async(c,p)=>{if(!l.reverse.possible)throw new _.a("unsupported",`There is no way back: ${l.reverse.reasons.join("; ")}.`,{remedy:"Restore the backup, or migrate forward with a correction."});let{steps:u}=l.reverse,g=await p.request({command:"unapplied-by",steps:u},c),b=Array.isArray(g)?g.map(ft):[],A=new Set(l.migrations.map(I)),S=b.flat().filter(E=>!A.has(E));if(S.length>0)throw new _.a("plan_changed",`Going back would also take back ${S.join(", ")}.`,{remedy:"These were applied later; take them back first."});return u.filter((E,P)=>(b[P]??[]).length>0).map(({app:E,name:P})=>[E,P])},c=>`Going back stopped with ${$e(c)}.`),verify:async(l,f)=>{let c=await d(f,{command:"plan",targets:l.targets}),p=new Map(c.migrations.map(g=>[I(g),g.state])),u=[...l.migrations.filter(g=>p.get(I(g))!=="applied").map(g=>`${I(g)} is not recorded as applied`),...c.plan.map(g=>`${I(g)} is still to be applied`),...c.invalidIndexes.filter(g=>!l.invalidIndexes.includes(g)).map(g=>`the index ${g} is invalid`)];if(u.length>0)throw new _.a("verify_failed",`The database is not as planned: ${[...new Set(u)].join("; ")}.`,{remedy:"Drop an invalid index (DROP INDEX CONCURRENTLY), make the plan again and apply it."})},connection:async l=>Ne(await(await s(l)).request({command:"connection"},l)),close:async()=>{await o?.close(),o=void 0}}}function dt(e){return(0,W.createHash)("sha256").update(e).digest("hex")}function ct(e,t){return(0,G.b)({database:{host:e.host,port:e.port,name:e.name},migrations:t.map(({app:n,name:a,atomic:r,sqlHash:o,sourceHash:s})=>({app:n,name:a,atomic:r,sqlHash:o,sourceHash:s}))})}function pt(e,t){let n=o=>o.migrations.map(I).join(", ")||"nothing",a=({database:{host:o,port:s,name:d}})=>`${o}:${s}/${d}`,r=a(e)!==a(t)?`it was made for ${a(e)}, this is ${a(t)}`:n(e)!==n(t)?`it was to apply ${n(e)}; now it is ${n(t)}`:`the SQL or the source of its migrations has changed (${n(t)})`;return new _.a("plan_changed",`The plan is not the one that was approved: ${r}. Nothing was migrated.`,{remedy:"Make the plan again and have it approved."})}function Te(e){let t=(0,G.c)(e)?e:{},n=t.pid,a=typeof n=="number"?`"${String(t.name)}" (user ${String(t.user)}, server process ${n}, for ${(0,x.d)(Number(t.seconds)*1e3)})`:"somebody who has just ended";return new _.a("migration_locked",`Another migration holds the lock: ${a}. Nothing was migrated.`,{remedy:"Wait for it to end. If its run is dead, end its session with pg_terminate_backend."})}function mt(e,t,n,a){return n.lost.aborted?new _.a("lock_lost",`The migration lock was lost: ${(0,_.c)(n.lost.reason)}`):e.aborted?(0,_.b)("migrating"):t.aborted?new _.a("timeout",`The limit of ${(0,x.d)(a)} is over.`):null}function $e(e){let t=n=>e.filter(a=>a.state===n);return[`applied: ${t("applied").map(I).join(", ")||"none"}`,...t("partly").map(n=>`partly applied: ${I(n)} (${n.detail??""})`),`not applied: ${t("not-applied").map(I).join(", ")||"none"}`].join("; ")}function ut(e,t){return e.some(n=>n.state==="partly")?"Do not run it again as it is: undo by hand what was done, or make its operations repeatable.":t.remedy??"What is applied stays applied and recorded; correct the cause and run it again."}function Ne(e){let t=(0,G.c)(e)?Object.entries(e):[];return Object.fromEntries(t.filter(n=>typeof n[1]=="string"))}function ft(e){return Array.isArray(e)?e.filter(t=>typeof t=="string"):[]}async function ht(e){if(e===void 0)return{};let t=await(0,_.e)((0,D.readFile)(e,"utf8"));if(t===void 0)throw new _.a("not_found",`The environment file ${e} does not exist on this host.`,{remedy:"Correct `env-file`. Nothing was migrated."});let n=(0,F.a)(t);if("problem"in n)throw new _.a("invalid_input",`The environment file ${e}: ${n.problem}.`);return n.values}async function gt(e,t){let n={};for(let[a,r]of Object.entries(t.environment))r!==void 0&&!/^(?:INPUT_|GITHUB_|ACTIONS_|RUNNER_|STATE_)/.test(a)&&(n[a]=r);return{...n,...await ht(e["env-file"]),...e.env}}function _t(e,t,n){if(e.migrator==="django")return lt({directory:e.directory,python:e.python,...e.settings===void 0?{}:{settings:e.settings},environment:n,deployment:e.environment,holder:t.facts.runUrl||`process ${process.pid}`,lockWait:e["wait-for-other"],lockTimeout:e["lock-timeout"],statementTimeout:e["statement-timeout"],log:t.log})}function bt(e){return(e.target??[]).map(t=>{let[n="",a]=t.split(".");return a===void 0?{app:n}:{app:n,name:a}})}function Ae(e){let{file:t,line:n}=e.location;return t===null?e.migration:`${t}${n===null?"":`:${n}`}`}function Se(e){return`${Ae(e)} ${e.severity} ${e.rule}: ${e.message} ${e.remedy}`}function Z(e,t,n,a){let{summary:r}=e,{host:o,port:s,name:d}=t.database;if(r.paragraph((0,x.b)(`Database ${d} at ${o}:${s}, plan ${t.hash}`)),t.migrations.length===0){r.paragraph("Every migration is applied.");return}r.table(["Migration","In a transaction","Way back","What it does","State"],t.migrations.map(i=>[(0,x.b)(`${i.app}.${i.name}`),i.atomic?"yes":"no",i.reversible?"yes":"**no**",i.operations.map(m=>(0,x.b)(m.description)).join("<br>"),a?.find(m=>m.app===i.app&&m.name===i.name)?.state??"not-applied"])),n.length>0&&(r.heading("Findings",3),r.table(["Severity","Where","What","Instead"],n.map(i=>[i.severity,(0,x.b)(Ae(i)),(0,x.b)(i.message),(0,x.b)(i.remedy)])));for(let i of t.migrations)r.details(`SQL of ${i.app}.${i.name}`,i.sql??i.sqlProblem??"");r.paragraph(t.reverse.possible?`Way back: ${t.reverse.steps.map(i=>`\`migrate ${i.app} ${i.name}\``).join(", then ")}`:`No way back: ${t.reverse.reasons.map(x.b).join("; ")}`)}function wt(e){let t=a=>e.filter(({state:r})=>r===a).map(({app:r,name:o})=>`${r}.${o}`),n=[["applied",t("applied")],["partly applied",t("partly")],["not applied",t("not-applied")]].filter(([,a])=>a.length>0).map(([a,r])=>`${a}: ${r.join(", ")}`);return n.length===0?"":`${n.join("; ")}.`}function ee(e,t,n=[]){let{plan:a,findings:r,backup:o,states:s}=e;return{...t,outputs:{"plan-hash":a?.hash,planned:a?.migrations.length,applied:s.filter(d=>d.state==="applied").length,findings:r.length,reversible:a?.reverse.possible,"backup-file":o?.file,"backup-sha256":o?.sha256},report:{plan:a,findings:r,backup:o,states:s,details:n}}}function yt(e,t,n){let a=e["approved-plan"],r=i=>i.replace(/^sha256:/,"");if(a!==void 0&&r(a)!==r(t.hash))return{result:"refused",reasonCode:"plan_changed",message:`The plan is ${t.hash}, but ${a} was approved; nothing was migrated.`,remedy:"Look at the new plan, approve it, and give its hash."};let[o,...s]=n.filter(i=>i.severity==="error");if(o===void 0||e["on-unsafe"]==="warn")return;let d=s.length===0?"":` And ${s.length} more.`;return{result:"refused",reasonCode:"unsafe_migration",message:`The plan is not safe while the old version serves; nothing was migrated. ${Se(o)}${d}`,remedy:"Follow what each finding says, or set `on-unsafe: warn` for a maintenance window."}}async function vt(e,t,n,a,r){let{log:o,signal:s,summary:d}=t,i=await o.group("Plan",()=>n.plan(s,bt(e))),m=n.lint(i);Object.assign(r,{plan:i,findings:m});let h=i.migrations.length;for(let{app:l,name:f}of i.migrations)o.info(`  ${l}.${f}`);for(let l of m)o.warning(Se(l));let y=yt(e,i,m);if(y!==void 0&&!e["dry-run"])return Z(t,i,m),ee(r,y);if(e["dry-run"]){Z(t,i,m);let l=y===void 0?"":` It would be refused: ${y.message}`;return ee(r,{result:"planned",reasonCode:"dry_run",message:`${h} migrations would be applied, with ${m.length} findings; nothing was written.${l}`})}if(h===0)return await n.verify(i,s),Z(t,i,m),ee(r,{result:"unchanged",reasonCode:"already_current",message:"Every migration is applied; there was nothing to do."});let v=await o.group("Apply",()=>n.apply(i,{signal:s,limit:e.timeout,async beforeWrite(l){if(e.backup==="none")return;r.backup=await Ue({connection:await n.connection(l),directory:e["backup-directory"],...e["postgres-bin"]===void 0?{}:{postgresBin:e["postgres-bin"]},environment:a,verify:e.backup,log:o,signal:l});let{file:f,bytes:c,tables:p,verified:u}=r.backup;o.info(`Backup ${f}: ${c} bytes, ${p.length} tables, verified by ${u}.`)}}));if(r.states=v.states,await n.verify(i,s),Z(t,i,m,v.states),r.backup!==void 0){let{file:l,bytes:f,tables:c,verified:p,sha256:u}=r.backup;d.table(["Backup","Bytes","Tables","Verified by","SHA-256"],[[(0,x.b)(l),String(f),String(c.length),p,u]])}let k=r.backup===void 0?"":`; the backup is ${r.backup.file}`;return ee(r,{result:"succeeded",reasonCode:"ok",message:`${h} migrations were applied and verified in ${(0,x.d)(v.elapsed)}${k}.`})}async function kt(e,t){let n=await gt(e,t);for(let o of(0,F.b)(n))t.mask(o);let a=_t(e,t,n),r={findings:[],states:[]};try{return await vt(e,t,a,n,r)}catch(o){if(!(o instanceof N))throw o;r.states=o.states,r.plan!==void 0&&Z(t,r.plan,r.findings,r.states);for(let{app:s,name:d,state:i,detail:m}of r.states)t.log.info(`  ${s}.${d}: ${i}${m===void 0?"":` (${m})`}`);return ee(r,{result:o.reasonCode==="cancelled"?"cancelled":"failed",reasonCode:o.reasonCode,message:`${o.message} ${wt(r.states)}`,remedy:o.remedy},o.details)}finally{await a.close()}}})};export{$t as id,Nt as ids,At as modules};
