class GmvaeOptions(_Section):
    """The Gaussian mixture variational autoencoder, for populations too large for UMAP."""

    k: int = Field(20, ge=2, description="clusters, at most")
    cluster_by: Literal["argmax", "hdbscan"] = Field(
        "argmax", description="the root's clusters: q(y|x)'s, or HDBSCAN's of the latent space"
    )
    objective: Literal["concrete", "exact", "vade"] = "concrete"
    backend: Literal["local", "horovod", "torch_distributor"] = Field(
        "local", description="who trains: the driver, or Spark's tasks together"
    )
    processes: int = Field(2, ge=1, description="Spark tasks that train together")
    attempts: int = Field(3, ge=1, description="after a lost worker, from the last checkpoint")
    checkpoints: str | None = Field(
        None, description="a folder that all reach; null: beside the tables"
    )
    n_latent: int = Field(10, ge=1)
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (500, 500), min_length=1, description="the encoder's layers; the decoder's in reverse"
    )
    numeric: Literal["gaussian", "grey"] = Field(
        "gaussian", description="grey: numbers are shares of one range, as pixels are"
    )
    start: Literal["none", "autoencoder", "mixture"] = Field(
        "mixture", description="from random; from an autoencoder; and a mixture fitted to it"
    )
    warm_epochs: int = Field(10, ge=1, description="of the autoencoder")
    max_epochs: int = Field(40, ge=1)
    patience: int = Field(5, ge=1, description="epochs without a better bound on people held out")
    anneal_epochs: float = Field(5, ge=0, description="in which KL(q(y|x) ‖ p(y)) gains weight")
    temperature: float = Field(0.5, gt=0, description="of Concrete draws, at the start")
    temperature_end: float = Field(0.3, gt=0)
    batch_size: int = Field(256, ge=1, description="of each process")
    learning_rate: float = Field(0.001, gt=0)
    held_out: float = Field(0.05, gt=0, lt=1, description="share of people never trained on")
    seed: int = Field(42, ge=0)
