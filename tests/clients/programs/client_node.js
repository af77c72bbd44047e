// What @kubernetes/client-node is used for. Each check says as one line of JSON what came of it, as checks.py does.

const assert = require('node:assert');
const net = require('node:net');
const { PassThrough } = require('node:stream');
const k8s = require('@kubernetes/client-node');

const namespace = 'client-node';
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);

async function until(check, what) {
    for (const end = Date.now() + 20000; Date.now() < end; ) {
        const found = await check();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`waited 20 s for ${what}`);
}

function read(stream) {
    const said = { text: '' };
    stream.on('data', (chunk) => (said.text += chunk));
    return said;
}

const checks = {
    async objects_are_created_read_and_listed() {
        await core.createNamespace({ body: { metadata: { name: namespace } } });
        for (const name of ['a', 'b', 'c']) {
            await core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels: { x: 'y' } }, data: { k: 'v' } } });
        }
        const list = await core.listNamespacedConfigMap({ namespace, labelSelector: 'x=y', limit: 2 });
        assert.equal(list.items.length, 2);
        const rest = await core.listNamespacedConfigMap({ namespace, labelSelector: 'x=y', _continue: list.metadata._continue });
        assert.equal(rest.items[0].metadata.name, 'c');
        await assert.rejects(core.readNamespacedConfigMap({ namespace, name: 'none' }), (error) => error.code === 404);
        const body = [{ op: 'replace', path: '/data/k', value: 'w' }];
        assert.equal((await core.patchNamespacedConfigMap({ namespace, name: 'a', body })).data.k, 'w');
        await core.deleteNamespacedConfigMap({ namespace, name: 'a' });
    },

    async any_object_is_applied() {
        const objects = k8s.KubernetesObjectApi.makeApiClient(config);
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data: { k: '1' } };
        const apply = (spec) => objects.patch(spec, undefined, undefined, 'node', true, k8s.PatchStrategy.ServerSideApply);
        await apply(object);
        assert.equal((await apply({ ...object, data: { k: '2' } })).data.k, '2');
        assert.equal((await objects.read(object)).data.k, '2');
        await objects.delete(object);
    },

    async an_informer_follows_what_happens() {
        const list = () => core.listNamespacedConfigMap({ namespace });
        const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);
        const seen = [];
        for (const what of ['add', 'update', 'delete']) informer.on(what, (object) => seen.push(`${what} ${object.metadata.name}`));
        await informer.start();
        await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'seen' } } });
        await until(() => seen.includes('add seen'), 'the informer');
        await core.deleteNamespacedConfigMap({ namespace, name: 'seen' });
        await until(() => seen.includes('delete seen'), 'the informer');
        await informer.stop();
    },

    async a_pod_runs_and_is_spoken_to() {
        const command = ['sh', '-c', 'echo hello; exec busybox httpd -f -p 8080 -h /etc'];
        const containers = [{ name: 'main', image: 'moorage.local/host', command }];
        await core.createNamespacedPod({ namespace, body: { metadata: { name: 'p' }, spec: { containers } } });
        await until(async () => (await core.readNamespacedPod({ namespace, name: 'p' })).status.phase === 'Running', 'the pod');
        await until(async () => (await core.readNamespacedPodLog({ namespace, name: 'p' })) === 'hello\n', 'its log');

        const out = new PassThrough();
        const said = read(out);
        const status = await new Promise((resolve, reject) => {
            const call = new k8s.Exec(config).exec(namespace, 'p', 'main', ['sh', '-c', 'echo hi; exit 3'], out, null, null, false, resolve);
            call.catch(reject);
        });
        assert.equal(status.reason, 'NonZeroExitCode');
        assert.equal(said.text, 'hi\n');

        const forward = new k8s.PortForward(config);
        const server = net.createServer((socket) => forward.portForward(namespace, 'p', [8080], socket, null, socket));
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
        const socket = net.connect(server.address().port, '127.0.0.1', () => socket.write('GET /hostname HTTP/1.0\r\n\r\n'));
        const answer = read(socket);
        await until(() => answer.text.startsWith('HTTP/1.'), 'an answer through the forwarded port');
        socket.destroy();
        server.close();

        const logs = new PassThrough();
        const followed = read(logs);
        const request = await new k8s.Log(config).log(namespace, 'p', 'main', logs, { follow: true });
        await until(() => followed.text === 'hello\n', 'the followed log');
        request.abort();
        await core.deleteNamespacedPod({ namespace, name: 'p', gracePeriodSeconds: 0 });
    },
};

(async () => {
    for (const [check, run] of Object.entries(checks)) {
        const error = await run().then(() => null, (failure) => failure.stack || String(failure));
        console.log(JSON.stringify({ check, error }));
    }
    process.exit(0);
})();
