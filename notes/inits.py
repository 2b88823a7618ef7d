import numpy as np, torch
from sklearn.mixture import GaussianMixture
from reclust_spark.gmvae import mixture
def set_from(model, places, resp):
    k=resp.shape[1]; n=resp.sum(0)+1e-9
    m=(resp.T@places)/n[:,None]; v=(resp.T@(places**2))/n[:,None]-m**2
    with torch.no_grad():
        model.prior_mean[:]=torch.as_tensor(m,dtype=torch.float32); model.prior_log_variance[:]=torch.as_tensor(np.log(np.maximum(v,1e-4)),dtype=torch.float32)
        if not model.shape.joint: model.prior_logits[:]=torch.as_tensor(np.log(n/n.sum()),dtype=torch.float32)
def umap10(model, hidden, seed, dims=10, min_dist=0.0, em=0):
    import umap
    with torch.no_grad(): places=model.q_z(hidden).mean.numpy().astype(np.float64)
    u=umap.UMAP(n_neighbors=20,n_components=dims,min_dist=min_dist,random_state=seed,n_jobs=1,n_epochs=200).fit_transform(places.astype(np.float32))
    k=model.shape.n_clusters
    g=GaussianMixture(k,covariance_type="full" if dims<=10 else "diag",random_state=seed,n_init=5).fit(u)
    resp=np.eye(k)[g.predict(u)]
    set_from(model,places,resp)
    if model.shape.joint: mixture._teach(model,hidden,torch.as_tensor(resp,dtype=torch.float32))
def umap2(model,hidden,seed): umap10(model,hidden,seed,dims=2)
