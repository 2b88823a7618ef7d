import sys, time, json, argparse, numpy as np, torch
sys.path.insert(0,"/tmp/w/draft")
from reclust_spark.gmvae import columns as C, distributions as d, mixture, schedule
from reclust_spark.gmvae.network import GMVAE, Shape
from reclust_spark.gmvae.objective import OBJECTIVES, Batch, bound, clusters
from reclust_spark.onevsall.predict import Question
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
p=argparse.ArgumentParser()
p.add_argument("--obj",default="vade"); p.add_argument("--seed",type=int,default=0); p.add_argument("--hidden",default="500,500")
p.add_argument("--warm",type=int,default=10); p.add_argument("--epochs",type=int,default=30); p.add_argument("--lr",type=float,default=1e-3)
p.add_argument("--bs",type=int,default=256); p.add_argument("--start",default="mixture"); p.add_argument("--anneal",type=int,default=5)
p.add_argument("--t0",type=float,default=.5); p.add_argument("--t1",type=float,default=.3); p.add_argument("--latent",type=int,default=10)
p.add_argument("--warmkl",type=float,default=.01); p.add_argument("--n",type=int,default=60000); p.add_argument("--init",default="gmm"); p.add_argument("--binary",type=int,default=0)
p.add_argument("--noise",type=float,default=0.)
a=p.parse_args()
torch.set_num_threads(int(__import__("os").environ.get("T","2")))
D=np.load("/work/shared/data/mnist.npz"); X=D["x_train"].reshape(-1,784).astype(np.float32)[:a.n]; Y=D["y_train"][:a.n]; XT=D["x_test"].reshape(-1,784).astype(np.float32); YT=D["y_test"]
qs=[Question(f"p{i}",f"p{i}","numeric") for i in range(784)]
s=C.summarise(X,X,qs); cols=C.describe(s,qs,range(784),C.GREY); cen,sc=C.centre_and_scale(s)
T=torch.as_tensor(C.targets_of(X,X,cols)); TT=torch.as_tensor(C.targets_of(XT,XT,cols)); Xt=torch.as_tensor(X); XTt=torch.as_tensor(XT)
torch.manual_seed(a.seed)
shape=Shape(784,10,a.latent,tuple(map(int,a.hidden.split(","))),a.obj!="vade")
m=GMVAE(shape,cols,cen,sc); opt=torch.optim.Adam(m.parameters(),lr=a.lr)
g=torch.Generator().manual_seed(a.seed); n=len(X); S=-(-n//a.bs)
def figures(y,lab):
    M=np.zeros((10,10),int); np.add.at(M,(y,lab),1); r,c=linear_sum_assignment(-M)
    return dict(acc=round(M[r,c].sum()/len(y),4),m2o=round(M.max(1).sum()/len(y),4),nmi=round(normalized_mutual_info_score(lab,y),3),ari=round(adjusted_rand_score(lab,y),3),used=int((M.sum(1)>.01*len(y)).sum()))
def evaluate():
    with torch.no_grad():
        y=torch.cat([clusters(m,XTt[i:i+2000])[0] for i in range(0,len(XTt),2000)]); 
        b=torch.cat([bound(m,Batch(XTt[i:i+2000],TT[i:i+2000]),torch.Generator().manual_seed(1)) for i in range(0,len(XTt),2000)]).mean()
    return figures(y.argmax(1).numpy(),YT), round(float(b),2)
t0=time.time()
for e in range(a.warm+a.epochs):
    if e==a.warm and a.start=="mixture":
        idx=np.random.default_rng(a.seed).choice(n,min(n,20000),replace=False)
        with torch.no_grad(): h=torch.cat([m.encode(Xt[idx[i:i+2000]]) for i in range(0,len(idx),2000)])
        ti=time.time(); mixture.start(m,h,a.seed) if a.init=="gmm" else getattr(__import__("inits"),a.init)(m,h,a.seed)
        print("mixture",round(time.time()-ti,1),evaluate(),round(time.time()-t0),flush=True)
    perm=torch.randperm(n,generator=g); L=0
    for i in range(S):
        idx=perm[i*a.bs:(i+1)*a.bs]; step=(e-a.warm)*S+i
        b=Batch(Xt[idx],T[idx])
        if a.binary: b=Batch(b.features, torch.bernoulli(b.targets,generator=g))
        if e<a.warm: loss,_=mixture.warm_loss(m,b,a.warmkl,g)
        else:
            for G in opt.param_groups: G["lr"]=schedule.learning_rate(step,a.epochs*S,a.lr,.05*a.lr)
            tm=OBJECTIVES[a.obj](m,b,schedule.temperature(step,a.epochs*S,a.t0,a.t1),g)
            w=schedule.kl_weight(step,a.anneal*S)
            loss=(-tm.told.sum(-1)+tm.kl_z+w*tm.kl_y).sum()
        opt.zero_grad(); (loss/len(idx)).backward(); opt.step(); L+=loss.item()
    if e<a.warm: print(e,"warm",round(L/n,2),round(time.time()-t0),flush=True)
    else: print(e,round(L/n,2),evaluate(),round(time.time()-t0),flush=True)
