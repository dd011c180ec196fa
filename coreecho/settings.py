"""What is trained (`Run`) and at which scale (`Profile`), as plain frozen data.

A run says *what* a number in the paper is about: data set, method, initialisation, clips, seed. A profile says *at
which scale* it is computed: network width, clip shape, epochs, data. Every field carries one sentence and its source;
"gaps X" means section X of the list of choices in ``book/choices.md``. The three profiles themselves are in
`coreecho.profiles`. Ranges are checked where settings are read from text (`coreecho.settings_text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings, MotionSettings, PhantomSettings

DatasetName = Literal["echonet", "camus", "hmcqu", "motions"]
Init = Literal["k400", "scratch", "echocotr", "coreecho", "ouyang"]
Protocol = Literal["first", "fixed3", "even5", "all"]


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """UniFormer: four stages, convolutional, convolutional, attention, attention (section 2.1; gaps A)."""

    widths: tuple[int, int, int, int] = (64, 128, 320, 512)
    """Channels of the four stages; the last is the embedding size (512 in the paper)."""
    depths: tuple[int, int, int, int] = (3, 4, 8, 3)
    """Blocks in the four stages."""
    strides: tuple[int, int, int, int] = (4, 2, 2, 2)
    """Spatial stride of each stage's patch embedding; the first also halves time."""
    head_width: int = 64
    """Channels of one attention head."""
    dropout: float = 0.1
    """Dropout in the blocks (0.1 in the authors' code; the paper names only the head's)."""


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How a clip is cut from a video and augmented (supplementary Table 1; gaps A, D, E)."""

    frames: PositiveInt = 36
    """Frames in a clip."""
    stride: PositiveInt = 4
    """Every how many frames of the video one is taken."""
    size: PositiveInt = 112
    """Side of the square picture in pixels."""
    pad: NonNegativeInt = 6
    """Pixels added on each side before the random crop in training (112 to 124 and back; EchoCoTr, AdaCon: 12)."""
    resample: bool = False
    """Whether the whole sequence becomes one clip, by cubic splines along time (CAMUS, HMC-QU)."""
    crop: PositiveFloat = 1.0
    """Side of the central square that is kept, as a share of the picture's shorter side; 1 keeps the whole picture."""
    rotation: NonNegativeFloat = 0.0
    """Largest random rotation in training, in degrees, either way (CAMUS: 20 in the paper, 10 in the released code)."""
    zoom: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)
    """Range of the random scale in training (CAMUS: 0.8 to 1.1)."""
    shift: NonNegativeFloat = 0.0
    """Largest random shift in training, as a share of each side (CAMUS: 0.1)."""

    @property
    def span(self) -> int:
        """Video frames from the first to the last frame of a clip, both included (141 in the paper)."""
        return (self.frames - 1) * self.stride + 1

    @property
    def minimum_length(self) -> int:
        """Videos shorter than this are extended with black frames to it (144 in the paper)."""
        return self.frames * self.stride

    @property
    def moves(self) -> bool:
        """Whether training rotates, scales or shifts clips."""
        return bool(self.rotation or self.shift) or self.zoom != (1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is optimised (supplementary Table 2; gaps A)."""

    backbone: Literal["uniformer", "r2plus1d", "own"] = "uniformer"
    """Encoder class; r2plus1d is AdaCon's (torchvision's r2plus1d_18); own: the one that the system itself makes."""
    head: Literal["mlp", "linear"] = "mlp"
    """Regressor on the embedding: the paper's shallow MLP, or one linear layer (EchoCoTr, AdaCon)."""
    optimizer: Literal["adamw", "sgd", "madgrad"] = "adamw"
    """Optimiser; each group of parameters has its own (HMC-QU: MADGRAD)."""
    batch_size: Annotated[int, Field(ge=2)] = 16
    """Videos in a batch, at least two for batch norm; with two views the network sees twice as many clips."""
    drop_last: bool = True
    """Whether an epoch's last, smaller batch is left out (HMC-QU keeps it unless it is a single video)."""
    epochs: PositiveInt = 25
    """Epochs of stage one, or of end-to-end training."""
    learning_rate: NonNegativeFloat = 1e-4
    """Peak learning rate of stage one, or of end-to-end training."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay on every parameter, norms and biases too."""
    schedule: Literal["step", "onecycle", "constant"] = "step"
    """Learning-rate schedule of stage one: one or more steps, or warm-up and cosine within one cycle, or none."""
    step_epochs: tuple[int, ...] = (15,)
    """0-based epochs from which the rate is multiplied by 0.1 once more (schedule "step")."""
    warmup: float = 0.05
    """Share of all steps spent warming up (schedule "onecycle")."""
    clip_norm: PositiveFloat | None = None
    """Largest gradient norm of one optimiser's parameters, or none."""
    temperature: PositiveFloat = 1.0
    """Temperature tau of the Rank-N-Contrast loss (equation 1)."""
    head_dropout: float = 0.4
    """Dropout in the MLP head (section 2.1)."""
    refine_epochs: PositiveInt = 5
    """Epochs of stage two, in which only the head moves (section 2.2)."""
    refine_learning_rate: NonNegativeFloat = 1e-4
    """Constant learning rate of stage two (gaps A)."""
    padding: Literal["black", "grey"] = "black"
    """Value of padded pixels and frames: black before normalisation, or grey, which is 0 after it."""
    level_videos: NonNegativeInt = 0
    """Training videos, drawn at random, that give the grey levels to normalise by (EchoCoTr, AdaCon: 128); 0: fixed."""
    selection: Literal["mae", "mse", "last"] = "mae"
    """Validation error whose lowest value chooses the epoch, ties going to the later one; or the last epoch."""
    selection_clips: PositiveInt = 3
    """Clips per validation video whose mean prediction is scored for that choice."""
    precision: Literal["no", "bf16"] = "no"
    """Autocast precision; the loss stays in float32 either way."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training whose test predictions fill cells of the paper's tables."""

    dataset: DatasetName = "echonet"
    """Data set trained and tested on; motions is the pretext task's."""
    fold: int | None = None
    """Cross-validation fold from 0, for data sets that are cut into folds (CAMUS ten, HMC-QU five)."""
    method: str = "coreecho"
    """What is optimised: a method of `coreecho.stages` or a system of `coreecho.baselines`."""
    init: Init = "k400"
    """Initial encoder: what the profile uses as Kinetics-400 weights, random, or a system's Table 1 run."""
    recipe: Literal["shared", "own"] = "own"
    """The profile's shared recipe, or the method's own one (the same in the demo and gpu profiles)."""
    augment: bool = True
    """Pad and randomly crop the clips in training (A in Table 3); rotate, scale and shift those of CAMUS and HMC-QU."""
    views: Literal["one", "same-clip", "two-clips"] = "two-clips"
    """Views of a video in a training batch: one clip, one clip cropped twice, two clips (2xC in Table 3)."""
    seed: int = 0
    """Seed of initial weights, batch order, clips and crops; trials 0, 1, 2 in the paper."""

    @property
    def slug(self) -> str:
        """A readable folder-name prefix, unique among the runs of this package together with the key."""
        fold = "" if self.fold is None else f"-fold{self.fold}"
        start = f"-{self.init}" if self.dataset in ("camus", "hmcqu") else ""
        return f"{self.dataset}{fold}-{self.method}{start}-seed{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How an encoder moves on to another data set, by probing or by fine-tuning (section 2.3; gaps D, E)."""

    clip: ClipSettings = field(default_factory=ClipSettings)
    """Clip shape and augmentation."""
    probe: Recipe = field(default_factory=Recipe)
    """Recipe of probing: a new MLP head on a frozen encoder."""
    finetune: Recipe = field(default_factory=Recipe)
    """Recipe of fine-tuning, and of training from random weights: encoder and new head together."""
    folds: Literal["official", "contiguous", "stratified"] = "official"
    """CAMUS: the ten published lists or ten blocks of the sorted names. HMC-QU: stratified by infarction."""
    fold_seed: int = 0
    """Seed of the folds that are drawn (stratified), since HMC-QU's were never published."""
    normalisation: tuple[float, PositiveFloat] | None = None
    """Mean and SD of grey levels (0-255) that clips are normalised with; none: those of each training fold."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The scale of all runs: data, network and recipes."""

    name: str
    """Name: demo, gpu or paper."""
    summary: str
    """One sentence on what it needs and what it yields."""
    phantom: PhantomSettings | None = None
    """The synthetic data set in EchoNet-Dynamic's place, or none for the real ones everywhere."""
    phantom_camus: CamusPhantomSettings | None = None
    """The one in CAMUS's place."""
    phantom_hmcqu: HmcquPhantomSettings | None = None
    """The one in HMC-QU's place."""
    phantom_motions: MotionSettings | None = None
    """The pretext task's videos."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    """Network scale."""
    clip: ClipSettings = field(default_factory=ClipSettings)
    """Clip shape."""
    shared: Recipe = field(default_factory=Recipe)
    """Recipe used for every row unless a method has its own."""
    own: Mapping[str, Recipe] = field(default_factory=dict)
    """Methods' own recipes, by method name."""
    own_clips: Mapping[str, ClipSettings] = field(default_factory=dict)
    """Clip shapes of methods that do not use the shared one."""
    camus: Transfer = field(default_factory=Transfer)
    """Transfer to CAMUS (Table 4)."""
    hmcqu: Transfer = field(default_factory=lambda: Transfer(folds="stratified"))
    """Transfer to HMC-QU (Table 5)."""
    k400: Literal["file", "pretext", "none"] = "none"
    """Where ``init="k400"`` takes its weights: the published file, a run on moving shapes (*pretext*), or none."""
    protocol: Protocol = "fixed3"
    """Test-time clips per video, whose mean prediction is scored (EchoNet-Dynamic)."""

    def transfer(self, run: Run) -> Transfer | None:
        """The transfer settings of a run on CAMUS or HMC-QU, none for any other."""
        return {"camus": self.camus, "hmcqu": self.hmcqu}.get(run.dataset)

    def recipe(self, run: Run) -> Recipe:
        """The recipe that trains ``run`` in this profile."""
        transfer = self.transfer(run)
        if transfer is not None and (run.recipe == "shared" or run.method not in self.own):
            return transfer.probe if run.method == "probe" else transfer.finetune
        return self.own.get(run.method, self.shared) if run.recipe == "own" else self.shared

    def clip_settings(self, run: Run) -> ClipSettings:
        """The clip shape that ``run`` uses in this profile."""
        transfer = self.transfer(run)
        if transfer is not None:
            return self.own_clips.get(run.method, transfer.clip) if run.recipe == "own" else transfer.clip
        return self.own_clips.get(run.method, self.clip) if run.recipe == "own" else self.clip

    def protocol_of(self, run: Run) -> Protocol:
        """The test-time protocol of ``run``; where a whole sequence is one clip there is nothing to choose."""
        return "first" if run.dataset != "echonet" else self.protocol

    def phantom_of(
        self, run: Run
    ) -> PhantomSettings | CamusPhantomSettings | HmcquPhantomSettings | MotionSettings | None:
        """The synthetic data set that ``run`` uses, none where it uses a real one."""
        if run.dataset == "motions":
            return self.phantom_motions
        return {"camus": self.phantom_camus, "hmcqu": self.phantom_hmcqu}.get(run.dataset, self.phantom)
