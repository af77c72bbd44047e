"""The seed's manifests: verbatim with their slips, and corrected."""

REPLICASET_VERBATIM = """\
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: replicaSet-test
spec:
  replicas: 1
  selector:
    matchLabels:
      type: web
  template:
    metadata:
      labels:
        type: web
    spec:
      containers:
      - name: container
        image: kubetm/app
      terminationGracePeriodSeconds: 10
"""

#: With the tab that stands before serviceName.
STATEFULSET_VERBATIM = """\
apiVersion: apps/v1
kind: StatefulSet-test
metadata:
  name: stateful-test
spec:
  replicas: 1
\tserviceName: "statefulset-test"
  selector:
    matchLabels:
      type: db
  template:
    metadata:
      labels:
        type: db
    spec:
      containers:
      - name: container
        image: kubetm/app
      terminationGracePeriodSeconds: 10
"""

STATEFULSET_WITHOUT_TAB = STATEFULSET_VERBATIM.replace("\t", "  ")


def replicaset(replicas: int) -> str:
    """Return the first ReplicaSet, corrected."""
    return REPLICASET_VERBATIM.replace("replicaSet-test", "replicaset-test").replace(
        "replicas: 1", f"replicas: {replicas}"
    )


def statefulset(replicas: int) -> str:
    """Return the first StatefulSet, corrected."""
    text = STATEFULSET_WITHOUT_TAB.replace("StatefulSet-test", "StatefulSet")
    return text.replace("replicas: 1", f"replicas: {replicas}")


CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: replica-pvc1
spec:
  accessModes:
  - ReadWriteOnce
  resources:
    requests:
      storage: 1G
"""


def replicaset_with_claim(replicas: int, node: str) -> str:
    """Return the ReplicaSet whose pods share one claim on one node."""
    return f"""\
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: replica-pvc
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      type: web2
  template:
    metadata:
      labels:
        type: web2
    spec:
      nodeSelector:
        kubernetes.io/hostname: {node}
      containers:
      - name: container
        image: kubetm/init
        volumeMounts:
        - name: storageos
          mountPath: /applog
      volumes:
      - name: storageos
        persistentVolumeClaim:
          claimName: replica-pvc1
      terminationGracePeriodSeconds: 10
"""


def statefulset_with_claims(replicas: int) -> str:
    """Return the StatefulSet whose pods each have a claim of their own."""
    return f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: stateful-pvc
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      type: db2
  serviceName: "stateful-test"
  template:
    metadata:
      labels:
        type: db2
    spec:
      containers:
      - name: container
        image: kubetm/app
        volumeMounts:
        - name: volume
          mountPath: /applog
      terminationGracePeriodSeconds: 10
  volumeClaimTemplates:
  - metadata:
      name: volume
    spec:
      accessModes:
      - ReadWriteOnce
      resources:
        requests:
          storage: 1G
"""


def pod_on(node: str) -> str:
    """Return a pod that wants the shared claim, but on this node."""
    return f"""\
apiVersion: v1
kind: Pod
metadata:
  name: elsewhere
spec:
  nodeSelector:
    kubernetes.io/hostname: {node}
  containers:
  - name: container
    image: kubetm/app
    volumeMounts:
    - name: volume
      mountPath: /applog
  volumes:
  - name: volume
    persistentVolumeClaim:
      claimName: replica-pvc1
"""
