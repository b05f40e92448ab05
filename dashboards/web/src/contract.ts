// The JSON of /plimsoll/v1, as aggregator/api/types.go writes it; test/contract.test.ts compares the two.
// Times are RFC 3339, CPU is in cores, memory in bytes, shares are ratios. A number that is not known is null.

export type Num = number | null;

export interface Overview {
  schema: string;
  time: string;
  version: string;
  since: string;
  interval: number;
  node: Node;
  nodes: Node[]; // the first of them by name
  totalNodes: number;
  autoscaler?: string; // of a cluster: "on", "dry-run" or "off"
  limited?: boolean; // there may be more, which whoever looks may not see
  scaled: Scaled[];
  containers: Container[];
  total: number;
  found: number;
  conditions: Condition[];
}

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  since: string;
}

export interface Node {
  name: string;
  pool?: string;
  status?: string;
  cores: Num;
  memory: Num;
  cpu: Num;
  workingSet: Num;
  swap: Num;
  load1: Num;
  cpuPressure: Num;
  memoryPressure: Num;
  ioPressure: Num;
  diskRead: Num;
  diskWrite: Num;
  diskFree: Num;
  diskSize: Num;
  diskDevice: string;
  netReceive: Num;
  netTransmit: Num;
  netErrors: Num;
  busiest: string;
  partial?: string[];
  parts?: Parts; // with partial
  containers: number | null;
  source?: string;
  gap: Gap | null;
}

/** Parts says of how many members a sum is that lacks some. */
export interface Parts {
  counted: number;
  of: number;
  unit: string;
}

/** Machine is one node's own answer. */
export interface Machine extends Node {
  schema: string;
  time: string;
  cpuRoom: Asked;
  memoryRoom: Asked;
  maxPods: Num;
  conditions: NodeCondition[];
  pods: Pod[];
}

export interface Asked {
  allocatable: Num;
  requests: Num;
}

export interface NodeCondition {
  type: string;
  status: string;
  reason: string;
  message: string;
  since: string | null;
}

export interface Pod {
  namespace: string;
  workloadKind: string;
  workload: string;
  name: string;
  title: string;
  state: string;
  since: string | null;
  restarts: Num;
  cpu: Num;
  cpuRequest: Num;
  workingSet: Num;
  memoryRequest: Num;
  containers: string[];
  partial?: string[];
  parts?: Parts;
  source?: string;
  gap: Gap | null;
}

export interface Gap {
  since: string;
  reason: string;
  detail: string;
}

export interface Container {
  namespace: string;
  workload: string;
  workloadKind: string;
  pod: string;
  name: string;
  title: string;
  runtime: string;
  image: string;
  id: string;
  node: string;
  started: string | null;
  cpu: Num;
  cpuLimit: Num;
  cpuRequest: Num;
  workingSet: Num;
  memoryLimit: Num;
  throttled: Num;
  cpuPressure: Num;
  memoryPressure: Num;
  ioPressure: Num;
  oomKills: Num;
  restarts: Num;
  processes: Num;
  diskRead: Num;
  diskWrite: Num;
  netReceive: Num;
  netTransmit: Num;
  score: number;
  why: string;
  source?: string;
  gap: Gap | null;
}

/** Target names what is scaled. */
export interface Target {
  apiVersion?: string;
  kind: string;
  namespace: string;
  name: string;
}

export interface Scaled extends Target {
  by?: Declaration[]; // the objects that say how, where the target does not itself
  mode: string;
  state?: string; // who sets the count if Plimsoll does not, or not alone
  min: Num; // null: what declares it cannot be read
  max: Num;
  schedule?: string; // since when schedules hold that set min and max
  replicas: number;
  ready: number;
  desired: number;
  metrics: Load[];
  last: Decision | null;
  change: Decision | null;
  members: Member[];
  gap: Gap | null;
  policy: string;
  updated: string | null;
}

export interface Declaration {
  kind: string;
  name: string;
}

export interface Load {
  name: string;
  container?: string; // of a metric of one container
  type: string;
  load: Num;
  target: Num;
  of: string;
  amount: string; // the target where it is an amount
  noise: Num;
  window: number;
}

export interface Member {
  name: string;
  state: string;
  cpu: Num;
  memory: Num;
  since: string | null;
  restarts: number;
  detail: string;
}

export interface Decision extends Target {
  time: string;
  action: string;
  from: number;
  to: number;
  reason: string;
  message: string;
  detail?: Detail | null;
}

// Detail is plimsoll.dev/decision/v1, as far as the page shows it.
export interface Detail {
  steps?: { step: string; before: number; after: number; why: string }[] | null;
  look?: { window?: string; noise?: string } | null;
}

export interface Workload {
  schema?: string;
  time: string;
  namespace: string;
  kind: string;
  name: string;
  cpu: Num;
  workingSet: Num;
  pods: number;
  scaled: Scaled | null;
  partial?: string[];
  parts?: Parts;
  containers?: Container[];
  decisions?: Decision[];
  gap: Gap | null;
}
