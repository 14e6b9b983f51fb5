import { launch, signedIn } from "./browser.mjs";
const base=process.env.SEKISHO_API;
const browser=await launch();
const {page}=await signedIn(browser,{base,password:process.env.SEKISHO_PASSWORD});
for (const p of (process.argv.slice(2))) {
await page.goto(base+p);
await new Promise(r=>setTimeout(r,4000));
const cdp=await page.context().newCDPSession(page);
await cdp.send("Profiler.enable"); await cdp.send("Profiler.start");
await new Promise(r=>setTimeout(r,1500));
const {profile}=await cdp.send("Profiler.stop");
const self=new Map(); const dt=profile.timeDeltas; const byId=new Map(profile.nodes.map(n=>[n.id,n])); const parent=new Map(); profile.nodes.forEach(n=>(n.children??[]).forEach(c=>parent.set(c,n.id)));
profile.samples.forEach((s,i)=>{ const seen=new Set(); for(let id=s;id;id=parent.get(id)){const n=byId.get(id); const k=n.callFrame.functionName+" "+n.callFrame.url.split("/").pop()+":"+n.callFrame.columnNumber; if(seen.has(k))continue; seen.add(k); self.set(k,(self.get(k)??0)+dt[i]);}});
console.log("==",p); console.log([...self].sort((a,b)=>b[1]-a[1]).slice(0,26).map(([k,v])=>(v/1000).toFixed(0)+" "+k).join("\n"));
}
await browser.close();
