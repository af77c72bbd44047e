// What Go programs do to a cluster: typed and dynamic clients, informers, server-side apply, a leader election, exec, and
// a manager of controller-runtime's with one reconciler. Each check says as one line of JSON what came of it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const namespace = "go"

type world struct {
	config  *rest.Config
	typed   kubernetes.Interface
	dynamic dynamic.Interface
}

func main() {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		panic(err)
	}
	w := &world{config, kubernetes.NewForConfigOrDie(config), dynamic.NewForConfigOrDie(config)}
	checks := []struct {
		name string
		run  func(context.Context) error
	}{
		{"typed clients write and read", w.typedClients},
		{"server-side apply has owners", w.serverSideApply},
		{"dynamic clients find their way", w.dynamicClients},
		{"informers follow what happens", w.informers},
		{"a leader is elected", w.leaderElection},
		{"a command runs in a pod", w.exec},
		{"a reconciler keeps what it made", w.reconciler},
	}
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		var text *string
		if err := check.run(ctx); err != nil {
			said := err.Error()
			text = &said
		}
		cancel()
		line, _ := json.Marshal(map[string]any{"check": check.name, "error": text})
		fmt.Println(string(line))
	}
}

func until(ctx context.Context, check func(context.Context) (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, check)
}

func (w *world) typedClients(ctx context.Context) error {
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := w.typed.CoreV1().Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil {
		return err
	}
	maps := w.typed.CoreV1().ConfigMaps(namespace)
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Data: map[string]string{"a": "1"}}
	made, err := maps.Create(ctx, made, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := maps.Create(ctx, made, metav1.CreateOptions{}); err == nil {
		return fmt.Errorf("an object with a resource version was created")
	}
	patch := []byte(`{"data":{"b":"2"}}`)
	if _, err := maps.Patch(ctx, "one", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("a stale update: %v", err)
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		fresh, err := maps.Get(ctx, "one", metav1.GetOptions{})
		if err != nil {
			return err
		}
		fresh.Data["c"] = "3"
		_, err = maps.Update(ctx, fresh, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	if _, err := maps.Get(ctx, "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("an object that is not there: %v", err)
	}
	groups, resources, err := w.typed.Discovery().ServerGroupsAndResources()
	if err != nil || len(groups) < 15 || len(resources) < 15 {
		return fmt.Errorf("discovery: %d groups, %w", len(groups), err)
	}
	return nil
}

func (w *world) serverSideApply(ctx context.Context) error {
	maps := w.typed.CoreV1().ConfigMaps(namespace)
	wish := applycore.ConfigMap("applied", namespace).WithData(map[string]string{"a": "1", "b": "2"})
	if _, err := maps.Apply(ctx, wish, metav1.ApplyOptions{FieldManager: "first"}); err != nil {
		return err
	}
	other := applycore.ConfigMap("applied", namespace).WithData(map[string]string{"a": "9"})
	if _, err := maps.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "second"}); !apierrors.IsConflict(err) {
		return fmt.Errorf("a field of somebody else's: %v", err)
	}
	got, err := maps.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "second", Force: true})
	if err != nil || got.Data["a"] != "9" || got.Data["b"] != "2" {
		return fmt.Errorf("forced: %v %w", got.Data, err)
	}
	mine, err := applycore.ExtractConfigMap(got, "first")
	if err != nil || len(mine.Data) != 1 {
		return fmt.Errorf("extracted: %v %w", mine, err)
	}
	return nil
}

func (w *world) dynamicClients(ctx context.Context) error {
	maps := w.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(namespace)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "dynamic", "labels": map[string]any{"x": "y"}},
	}}
	if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "x=y"})
	if err != nil || len(list.Items) != 1 {
		return fmt.Errorf("%d objects, %w", len(list.Items), err)
	}
	return maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "x=y"})
}

func (w *world) informers(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(w.typed, 0, informers.WithNamespace(namespace))
	seen := make(chan string, 100)
	informer := factory.Core().V1().ConfigMaps().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen <- "added " + object.(*corev1.ConfigMap).Name },
		DeleteFunc: func(object any) { seen <- "deleted " + object.(*corev1.ConfigMap).Name },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("the informer did not catch up")
	}
	maps := w.typed.CoreV1().ConfigMaps(namespace)
	fresh := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "seen"}}
	if _, err := maps.Create(ctx, fresh, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := maps.Delete(ctx, "seen", metav1.DeleteOptions{}); err != nil {
		return err
	}
	told := map[string]bool{}
	for !told["added seen"] || !told["deleted seen"] {
		select {
		case what := <-seen:
			told[what] = true
		case <-ctx.Done():
			return fmt.Errorf("only %v was told", told)
		}
	}
	return nil
}

func (w *world) leaderElection(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Name: "leader", Namespace: namespace},
		Client:     w.typed.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: "me"},
	}
	led := false
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, ReleaseOnCancel: true,
		LeaseDuration: 6 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { led = true; cancel() },
			OnStoppedLeading: func() {},
		},
	})
	if !led {
		return fmt.Errorf("nobody led")
	}
	lease, err := w.typed.CoordinationV1().Leases(namespace).Get(context.Background(), "leader", metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "" {
		return fmt.Errorf("the lease was not given back: %w", err)
	}
	return nil
}

func (w *world) exec(ctx context.Context) error {
	pods := w.typed.CoreV1().Pods(namespace)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "main", Image: "moorage.local/host", Command: []string{"sleep", "1000"}},
		}},
	}
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	err := until(ctx, func(ctx context.Context) (bool, error) {
		pod, err := pods.Get(ctx, "p", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
	})
	if err != nil {
		return err
	}
	request := w.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name("p").SubResource("exec")
	options := &corev1.PodExecOptions{Command: []string{"cat"}, Stdin: true, Stdout: true}
	url := request.VersionedParams(options, scheme.ParameterCodec).URL()
	overWebSocket, err := remotecommand.NewWebSocketExecutor(w.config, "GET", url.String())
	if err != nil {
		return err
	}
	overSPDY, err := remotecommand.NewSPDYExecutor(w.config, "POST", url)
	if err != nil {
		return err
	}
	for _, executor := range []remotecommand.Executor{overWebSocket, overSPDY} {
		var said bytes.Buffer
		streams := remotecommand.StreamOptions{Stdin: bytes.NewBufferString("hello"), Stdout: &said}
		if err := executor.StreamWithContext(ctx, streams); err != nil || said.String() != "hello" {
			return fmt.Errorf("it said %q: %w", said.String(), err)
		}
	}
	grace := int64(0)
	return pods.Delete(ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: &grace})
}

// keeper gives each labelled ConfigMap a Deployment of its own, and makes it again when somebody removes it.
type keeper struct{ client.Client }

func (k *keeper) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	owner := &corev1.ConfigMap{}
	if err := k.Get(ctx, request.NamespacedName, owner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if owner.Labels["kept"] == "" {
		return ctrl.Result{}, nil
	}
	labels := map[string]string{"kept-by": owner.Name}
	kept := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: owner.Name, Namespace: owner.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, k.Client, kept, func() error {
		kept.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
		kept.Spec.Template.Labels = labels
		kept.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "moorage.local/host"}}
		kept.Spec.Template.Spec.Containers[0].Command = []string{"sleep", "1000"}
		return controllerutil.SetControllerReference(owner, kept, k.Scheme())
	})
	return ctrl.Result{}, err
}

func (w *world) reconciler(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	manager, err := ctrl.NewManager(w.config, ctrl.Options{
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		LeaderElection:          true,
		LeaderElectionID:        "keeper",
		LeaderElectionNamespace: namespace,
	})
	if err != nil {
		return err
	}
	reconciler := &keeper{manager.GetClient()}
	err = ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&appsv1.Deployment{}).Complete(reconciler)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()

	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner", Labels: map[string]string{"kept": "yes"}}}
	if _, err := w.typed.CoreV1().ConfigMaps(namespace).Create(ctx, owner, metav1.CreateOptions{}); err != nil {
		return err
	}
	deployments := w.typed.AppsV1().Deployments(namespace)
	var first types.UID
	isThere := func(ctx context.Context) (bool, error) {
		kept, err := deployments.Get(ctx, "owner", metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && kept.UID == first {
			return false, nil
		}
		if err == nil {
			first = kept.UID
		}
		return err == nil, err
	}
	if err := until(ctx, isThere); err != nil {
		return fmt.Errorf("the first time: %w", err)
	}
	if err := deployments.Delete(ctx, "owner", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := until(ctx, isThere); err != nil {
		return fmt.Errorf("after it was removed: %w", err)
	}
	cancel()
	return <-ended
}
